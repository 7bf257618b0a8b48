// A run-time compiler for tests: `libnvrtc.so`, which takes every kernel, since the driver beside it runs none.
#include <stdlib.h>
#include <string.h>

static const char ptx[] = "// no kernel";

int nvrtcVersion(int *major, int *minor) { return *major = 13, *minor = 0, 0; }
int nvrtcCreateProgram(void **made, const char *source, const char *name, int headers, const char *const *texts,
                       const char *const *names) {
  return *made = malloc(1), 0;
}
int nvrtcDestroyProgram(void **program) { return free(*program), *program = NULL, 0; }
int nvrtcCompileProgram(void *program, int count, const char *const *options) { return 0; }
int nvrtcGetPTXSize(void *program, size_t *bytes) { return *bytes = sizeof ptx, 0; }
int nvrtcGetPTX(void *program, char *to) { return memcpy(to, ptx, sizeof ptx), 0; }
int nvrtcGetProgramLogSize(void *program, size_t *bytes) { return *bytes = 1, 0; }
int nvrtcGetProgramLog(void *program, char *to) { return *to = 0, 0; }
