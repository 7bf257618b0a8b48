// A driver without a card, for tests: `libcuda.so` with the functions that cubecl calls.
//
// The device's memory is the host's. A stream is a queue whose work is done only when somebody waits for it, so that
// work that should have waited for another stream's, and did not, finds old numbers. Kernels do nothing, unless the
// run-time compiler beside this made libraries of them (EMOTRAIN_FAKE_KERNELS).
//
// Names and types are those of NVIDIA's driver API, as far as they are used.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int CUresult;
typedef uint64_t CUdeviceptr;
typedef struct stream stream;

// A piece of a stream's work: a function of the host, with what frees its data, or waiting for another stream's first
// `position` pieces.
typedef struct {
  void (*call)(void *);
  void *data;
  void (*drop)(void *);
  stream *other;
  size_t position;
} work;

typedef struct {
  work *works;
  size_t count, room;
} list;

struct stream {
  list works;
  size_t done;
  // What is recorded instead of being done, if anything is.
  list *graph;
  stream *next;
};

enum { CAPTURE_UNSUPPORTED = 900, CAPTURE_ISOLATION = 905 };

typedef struct {
  stream *of;
  size_t position;
} event;

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static stream first_stream;
static stream *streams = &first_stream;

static stream *queue(stream *s) { return s ? s : &first_stream; }

static void push(list *l, work w) {
  if (l->count == l->room) {
    l->room = l->room ? 2 * l->room : 64;
    l->works = realloc(l->works, l->room * sizeof(work));
  }
  l->works[l->count++] = w;
}

static void append(stream *s, work w) { push(queue(s)->graph ? queue(s)->graph : &queue(s)->works, w); }

static void run(stream *s, size_t position) {
  while (s->done < position) {
    work w = s->works.works[s->done++];
    if (w.other) run(w.other, w.position);
    else w.call(w.data);
    if (w.drop) w.drop(w.data);
  }
}

static void run_all(void) {
  for (stream *s = streams; s; s = s->next) run(s, s->works.count);
}

// Whether a stream is recorded, on which no memory may be asked for and nobody may wait.
static int recording(void) {
  for (stream *s = streams; s; s = s->next)
    if (s->graph) return 1;
  return 0;
}

#define LOCKED(body)             \
  do {                           \
    pthread_mutex_lock(&lock);   \
    body;                        \
    pthread_mutex_unlock(&lock); \
    return 0;                    \
  } while (0)

// The device, or EMOTRAIN_FAKE_DEVICES of them, of compute capability 9.9, or 8.9 where kernels are computed. They share
// everything but their names.

CUresult cuInit(unsigned flags) { return 0; }
CUresult cuDriverGetVersion(int *version) { return *version = 13000, 0; }
static int devices(void) {
  const char *count = getenv("EMOTRAIN_FAKE_DEVICES");
  return count ? atoi(count) : 1;
}
CUresult cuDeviceGetCount(int *count) { return *count = devices(), 0; }
CUresult cuDeviceGet(int *device, int number) { return *device = number, number < devices() ? 0 : 101; }
CUresult cuDeviceTotalMem_v2(size_t *bytes, int device) { return *bytes = (size_t)4 << 30, 0; }

CUresult cuDeviceGetName(char *name, int length, int device) {
  snprintf(name, length, "no card");
  return 0;
}

CUresult cuDeviceGetPCIBusId(char *id, int length, int device) {
  snprintf(id, length, "0000:%02x:00.0", device);
  return 0;
}

CUresult cuDeviceGetUuid_v2(char *uuid, int device) { return memset(uuid, 1 + device, 16), 0; }

CUresult cuDeviceGetAttribute(int *value, int attribute, int device) {
  switch (attribute) {
    case 1: *value = 1024; break;          // threads of a block
    case 2: case 3: *value = 1024; break;  // its x and y
    case 4: *value = 64; break;            // and z
    case 5: *value = 0x7fffffff; break;    // blocks along x
    case 6: case 7: *value = 65535; break; // along y and z
    case 10: *value = 32; break;           // threads of a warp
    case 16: *value = 132; break;          // multiprocessors
    case 75: *value = 9; break;            // compute capability, major
    // and minor: no card has these, so that nothing kept for one is used here, nor kernels that do nothing for others
    case 76: *value = getenv("EMOTRAIN_FAKE_KERNELS") ? 8 : 9; break;
    case 97: *value = 232448; break;       // shared memory of a block, at most
    default: *value = 1; break;
  }
  return 0;
}

CUresult cuDevicePrimaryCtxRetain(void **context, int device) { return *context = &first_stream, 0; }
CUresult cuDevicePrimaryCtxRelease_v2(int device) { return 0; }
CUresult cuCtxSetCurrent(void *context) { return 0; }
CUresult cuCtxGetCurrent(void **context) { return *context = &first_stream, 0; }
CUresult cuCtxSynchronize(void) { LOCKED(run_all()); }

CUresult cuGetErrorName(CUresult error, const char **name) { return *name = "error", 0; }
CUresult cuGetErrorString(CUresult error, const char **text) { return *text = "an error of the fake driver", 0; }

// Memory.

static void *allocated(size_t bytes) {
  void *memory = aligned_alloc(512, (bytes + 511) / 512 * 512);
  // Numbers that nobody wrote are seen: NaN in every type, unless the program is to go on with what kernels did not do.
  memset(memory, getenv("EMOTRAIN_FAKE_ZEROS") ? 0 : 0xff, bytes);
  return memory;
}

CUresult cuMemAlloc_v2(CUdeviceptr *at, size_t bytes) {
  return recording() ? CAPTURE_UNSUPPORTED : (*at = (CUdeviceptr)allocated(bytes), 0);
}
CUresult cuMemAllocAsync(CUdeviceptr *at, size_t bytes, stream *s) { return cuMemAlloc_v2(at, bytes); }
CUresult cuMemAllocHost_v2(void **at, size_t bytes) { return *at = allocated(bytes), 0; }
CUresult cuMemFree_v2(CUdeviceptr at) { LOCKED(run_all(); free((void *)at)); }
CUresult cuMemFreeHost(void *at) { return cuMemFree_v2((CUdeviceptr)at); }
CUresult cuMemFreeAsync(CUdeviceptr at, stream *s) { LOCKED(append(s, (work){free, (void *)at, NULL})); }

// A copy of rows; those of the host are read when the copy is asked for.
typedef struct {
  char *to;
  const char *from;
  size_t to_pitch, from_pitch, width, height;
  char *kept;
} copy;

static void copy_rows(void *data) {
  copy *c = data;
  for (size_t row = 0; row < c->height; row++)
    memmove(c->to + row * c->to_pitch, c->from + row * c->from_pitch, c->width);
}

static void drop_copy(void *data) {
  free(((copy *)data)->kept);
  free(data);
}

static CUresult copied(copy c, int from_host, stream *s) {
  copy *made = malloc(sizeof c);
  if (from_host && c.height) {
    size_t bytes = (c.height - 1) * c.from_pitch + c.width;
    c.kept = malloc(bytes);
    memcpy(c.kept, c.from, bytes);
    c.from = c.kept;
  }
  *made = c;
  LOCKED(append(s, (work){copy_rows, made, drop_copy}));
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, stream *s) {
  return copied((copy){(char *)to, from, bytes, bytes, bytes, 1}, 1, s);
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, stream *s) {
  return copied((copy){to, (const char *)from, bytes, bytes, bytes, 1}, 0, s);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, stream *s) {
  return copied((copy){(char *)to, (const char *)from, bytes, bytes, bytes, 1}, 0, s);
}

// A side of a copy of rows, as CUDA_MEMCPY2D lays it out; `kind` is 1 for the host.
typedef struct {
  size_t x, y;
  int kind;
  char *host;
  CUdeviceptr device;
  void *array;
  size_t pitch;
} side;

typedef struct {
  side from, to;
  size_t width, height;
} CUDA_MEMCPY2D;

static char *start(const side *s) { return (s->kind == 1 ? s->host : (char *)s->device) + s->y * s->pitch + s->x; }

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *c, stream *s) {
  copy rows = {start(&c->to), start(&c->from), c->to.pitch, c->from.pitch, c->width, c->height};
  return copied(rows, c->from.kind == 1, s);
}

// Streams and events.

static CUresult new_stream(stream **made) {
  *made = calloc(1, sizeof **made);
  LOCKED((*made)->next = streams; streams = *made);
}

CUresult cuStreamCreate(stream **made, unsigned flags) { return new_stream(made); }
CUresult cuStreamCreateWithPriority(stream **made, unsigned flags, int priority) { return new_stream(made); }
CUresult cuStreamDestroy_v2(stream *s) { LOCKED(run(s, s->works.count)); }

CUresult cuStreamSynchronize(stream *s) {
  if (queue(s)->graph) return CAPTURE_UNSUPPORTED;
  LOCKED(run(queue(s), queue(s)->works.count));
}

CUresult cuEventCreate(event **made, unsigned flags) { return *made = calloc(1, sizeof **made), 0; }
CUresult cuEventDestroy_v2(event *e) { return free(e), 0; }
CUresult cuEventRecord(event *e, stream *s) { LOCKED(*e = ((event){queue(s), queue(s)->works.count})); }
CUresult cuEventSynchronize(event *e) { LOCKED(if (e->of) run(e->of, e->position)); }
CUresult cuEventQuery(event *e) { return cuEventSynchronize(e); }
CUresult cuEventElapsedTime_v2(float *ms, event *from, event *to) { return *ms = 1, 0; }

CUresult cuStreamWaitEvent(stream *s, event *e, unsigned flags) {
  if (queue(s)->graph && e->of != queue(s)) return CAPTURE_ISOLATION;
  LOCKED(if (e->of) append(s, (work){.other = e->of, .position = e->position}));
}

CUresult cuLaunchHostFunc(stream *s, void (*call)(void *), void *data) {
  LOCKED(append(s, (work){call, data, NULL}));
}

// Graphs: a stream's work, recorded.

CUresult cuStreamBeginCapture_v2(stream *s, int mode) { LOCKED(queue(s)->graph = calloc(1, sizeof(list))); }
CUresult cuStreamEndCapture(stream *s, list **graph) { LOCKED(*graph = queue(s)->graph; queue(s)->graph = NULL); }
CUresult cuGraphDestroy(list *graph) { return 0; }

CUresult cuGraphGetNodes(list *graph, void **nodes, size_t *count) {
  for (size_t i = 0; nodes && i < *count; i++) nodes[i] = graph->works + i;
  return *count = graph->count, 0;
}

// 3: a function of the host.
CUresult cuGraphNodeGetType(void *node, int *type) { return *type = 3, 0; }
CUresult cuGraphInstantiateWithFlags(list **made, list *graph, uint64_t flags) { return *made = graph, 0; }
CUresult cuGraphUpload(list *graph, stream *s) { return 0; }
CUresult cuGraphExecDestroy(list *graph) { return 0; }

CUresult cuGraphLaunch(list *graph, stream *s) {
  LOCKED(for (size_t i = 0; i < graph->count; i++) {
    work w = graph->works[i];
    w.drop = NULL;
    append(s, w);
  });
}

// Kernels.

CUresult cuTensorMapEncodeTiled(void *map, int type, unsigned rank, void *at, const uint64_t *dims,
                                const uint64_t *strides, const unsigned *box, const unsigned *steps, int interleave,
                                int swizzle, int promotion, int fill) {
  return 0;
}

// A kernel as kernel.h makes it of CUDA C++; without functions it does nothing.
typedef struct {
  unsigned x, y, z;
} uint3;

typedef struct {
  void *(*launch)(void **arguments, uint3 grid, uint3 block, unsigned shared);
  void (*run)(void *);
  void (*drop)(void *);
} kernel;

CUresult cuModuleLoadData(kernel **module, const char *image) {
  *module = calloc(1, sizeof **module);
  // A path is no comment.
  if (image[0] != '/' || image[1] == '/') return 0;
  void *library = dlopen(image, RTLD_NOW | RTLD_LOCAL);
  if (!library) return fprintf(stderr, "%s\n", dlerror()), 200;
  (*module)->launch = dlsym(library, "kernel_launch");
  (*module)->run = dlsym(library, "kernel_run");
  (*module)->drop = dlsym(library, "kernel_drop");
  return 0;
}

CUresult cuModuleUnload(kernel *module) { return 0; }
CUresult cuModuleGetFunction(kernel **function, kernel *module, const char *name) { return *function = module, 0; }
CUresult cuFuncSetAttribute(kernel *function, int attribute, int value) { return 0; }

CUresult cuLaunchKernel(kernel *function, unsigned x, unsigned y, unsigned z, unsigned bx, unsigned by, unsigned bz,
                        unsigned shared, stream *s, void **arguments, void **extra) {
  if (!function->launch) return 0;
  void *launch = function->launch(arguments, (uint3){x, y, z}, (uint3){bx, by, bz}, shared);
  LOCKED(append(s, (work){function->run, launch, function->drop}));
}
