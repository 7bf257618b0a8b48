// An NCCL without cards, for tests: `libnccl.so` with the functions that cubecl calls. Names, types and numbers are those of
// NVIDIA's library.
//
// A group begins once all of it have joined, and a message is received once it is sent, as with the real one; who waits for
// a minute waits for ever, which is said and ends the program. A message whose sides have different lengths, with which the
// real one hangs or writes beyond a buffer, ends it too.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int cuLaunchHostFunc(void *stream, void (*call)(void *), void *data);
int cuEventCreate(void **made, unsigned flags);
int cuEventRecord(void *event, void *stream);
int cuStreamWaitEvent(void *stream, void *event, unsigned flags);
int cuStreamSynchronize(void *stream);

typedef struct {
  char bytes[128];
} id;

typedef struct {
  id group;
  int ranks, rank;
} communicator;

// What is sent, from when it is asked for; `kept` from when its stream gets there.
typedef struct message {
  id group;
  int from, to;
  size_t bytes;
  const void *at;
  void *kept, *sent, *received;
  struct message *next;
} message;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static message *messages;
static struct {
  id group;
  int joined;
} groups[64];
static int known;

static void wait_for(const char *what) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 60;
  if (pthread_cond_timedwait(&changed, &lock, &until)) {
    fprintf(stderr, "NCCL waits for ever: %s\n", what);
    abort();
  }
}

static size_t size_of(int type) {
  static const size_t sizes[] = {1, 1, 4, 4, 8, 8, 2, 4, 8, 2, 1, 1};
  return sizes[type];
}

const char *ncclGetErrorString(int error) { return "an error of the fake NCCL"; }

int ncclGetUniqueId(id *made) {
  static int count;
  memset(made, 0, sizeof *made);
  pthread_mutex_lock(&lock);
  snprintf(made->bytes, sizeof made->bytes, "group %d", ++count);
  pthread_mutex_unlock(&lock);
  return 0;
}

int ncclCommInitRank(communicator **made, int ranks, id group, int rank) {
  *made = malloc(sizeof **made);
  **made = (communicator){group, ranks, rank};
  pthread_mutex_lock(&lock);
  int of = 0;
  while (of < known && memcmp(&groups[of].group, &group, sizeof group)) of++;
  if (of == known) groups[known++].group = group;
  groups[of].joined++;
  pthread_cond_broadcast(&changed);
  while (groups[of].joined < ranks) wait_for("not all of a group join it");
  pthread_mutex_unlock(&lock);
  return 0;
}

int ncclCommDestroy(communicator *c) { return free(c), 0; }

static void keep(void *data) {
  message *m = data;
  m->kept = malloc(m->bytes);
  memcpy(m->kept, m->at, m->bytes);
}

static void deliver(void *data) {
  message *m = data;
  memcpy(m->received, m->kept, m->bytes);
  free(m->kept);
  free(m);
}

int ncclSend(const void *at, size_t count, int type, int to, communicator *c, void *stream) {
  message *m = calloc(1, sizeof *m);
  *m = (message){.group = c->group, .from = c->rank, .to = to, .bytes = count * size_of(type), .at = at};
  cuLaunchHostFunc(stream, keep, m);
  cuEventCreate(&m->sent, 0);
  cuEventRecord(m->sent, stream);
  pthread_mutex_lock(&lock);
  message **end = &messages;
  while (*end) end = &(*end)->next;
  *end = m;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  if (getenv("EMOTRAIN_FAKE_TELL")) fprintf(stderr, "NCCL sends %zu bytes from %d to %d\n", m->bytes, m->from, to);
  return 0;
}

int ncclRecv(void *at, size_t count, int type, int from, communicator *c, void *stream) {
  pthread_mutex_lock(&lock);
  message **found;
  for (;;) {
    for (found = &messages; *found; found = &(*found)->next)
      if ((*found)->from == from && (*found)->to == c->rank && !memcmp(&(*found)->group, &c->group, sizeof c->group)) break;
    if (*found) break;
    wait_for("nothing is sent that is to be received");
  }
  message *m = *found;
  *found = m->next;
  pthread_mutex_unlock(&lock);
  if (m->bytes != count * size_of(type)) {
    fprintf(stderr, "%zu bytes are sent where %zu are to be received\n", m->bytes, count * size_of(type));
    abort();
  }
  m->received = at;
  cuStreamWaitEvent(stream, m->sent, 0);
  cuLaunchHostFunc(stream, deliver, m);
  // As early as it may be, so that who still works on that memory finds other numbers.
  return cuStreamSynchronize(stream);
}
