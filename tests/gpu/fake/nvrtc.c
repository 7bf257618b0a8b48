// A run-time compiler for tests: `libnvrtc.so`. It takes every kernel and compiles none, unless EMOTRAIN_FAKE_KERNELS is
// set: then what it gives for PTX is the path of a library that computes the kernel on the processor (kernel.sh).
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  char *source, *ptx, *log;
} program;

int nvrtcVersion(int *major, int *minor) { return *major = 13, *minor = 0, 0; }

int nvrtcCreateProgram(program **made, const char *source, const char *name, int headers, const char *const *texts,
                       const char *const *names) {
  *made = calloc(1, sizeof **made);
  (*made)->source = strdup(source);
  (*made)->ptx = strdup("// no kernel");
  (*made)->log = strdup("");
  return 0;
}

int nvrtcDestroyProgram(program **it) {
  free((*it)->source);
  free((*it)->ptx);
  free((*it)->log);
  free(*it);
  return *it = NULL, 0;
}

// In CUDA_PATH/kernels, under a name that depends on the text, where it is found again.
static int compile(program *it) {
  uint64_t digest = 0xcbf29ce484222325;
  for (const char *at = it->source; *at; at++) digest = (digest ^ (unsigned char)*at) * 0x100000001b3;
  const char *folder = getenv("CUDA_PATH");
  char *stem, *command;
  asprintf(&stem, "%s/kernels/%016lx", folder, digest);
  free(it->ptx);
  asprintf(&it->ptx, "%s.so", stem);
  if (access(it->ptx, R_OK) == 0) return free(stem), 0;
  asprintf(&command, "bash '%s/kernel.sh' '%s.cu' '%s.so' 2>'%s.log'", folder, stem, stem, stem);
  char *text;
  asprintf(&text, "%s.cu", stem);
  FILE *file = fopen(text, "w");
  if (!file || fputs(it->source, file) < 0 || fclose(file) || system(command)) {
    free(it->log);
    asprintf(&it->log, "no library of this kernel: see %s.log", stem);
    return 6;
  }
  return free(stem), free(command), free(text), 0;
}

int nvrtcCompileProgram(program *it, int count, const char *const *options) {
  return getenv("EMOTRAIN_FAKE_KERNELS") ? compile(it) : 0;
}

int nvrtcGetPTXSize(program *it, size_t *bytes) { return *bytes = strlen(it->ptx) + 1, 0; }
int nvrtcGetPTX(program *it, char *to) { return strcpy(to, it->ptx), 0; }
int nvrtcGetProgramLogSize(program *it, size_t *bytes) { return *bytes = strlen(it->log) + 1, 0; }
int nvrtcGetProgramLog(program *it, char *to) { return strcpy(to, it->log), 0; }
