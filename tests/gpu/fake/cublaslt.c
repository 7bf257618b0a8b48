// A cuBLASLt without a card, for tests: `libcublasLt.so` with the functions that emotrain calls, and a product by its
// definition. Names, types and numbers are those of NVIDIA's library.
//
// It refuses what the real one may refuse: sums of 13 products when an algorithm is asked for, sums of 17 when the
// product is launched, and with EMOTRAIN_FAKE_CUDA=refusal products of bf16 into f32; and what would be a mistake of the
// caller: another compute type than f32, an algorithm that was proposed for another product, an address that is less
// aligned than the algorithm was told.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { DONE = 0, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum { R_32F = 0, R_16F = 2, R_16BF = 14, COMPUTE_32F = 68 };
// The matrices A, B, C and D.
enum { A, B, C, D };

typedef struct { int compute, scale, transposed[2]; } description;
typedef struct { int type; uint64_t rows, columns; int64_t ld; int count; int64_t between; } layout;
typedef struct { size_t workspace; uint32_t alignments[4]; } preference;
// What the real one is opaque about: for which product it was proposed.
typedef struct { uint64_t product; uint32_t alignments[4]; char rest[40]; } algorithm;
typedef struct { algorithm proposed; size_t workspace; int state; float waves; int reserved[4]; } proposal;
_Static_assert(sizeof(algorithm) == 64, "as large as NVIDIA's");

int cuLaunchHostFunc(void *stream, void (*call)(void *), void *data);

static size_t proposals;

size_t cublasLtGetVersion(void) { return 130002; }
int cublasLtCreate(void **handle) { return *handle = malloc(1), DONE; }
int cublasLtDestroy(void *handle) { return free(handle), DONE; }

// How many algorithms were asked for so far; a test reads it here.
int cublasLtHeuristicsCacheGetCapacity(size_t *count) { return *count = proposals, DONE; }

int cublasLtMatmulDescCreate(description **made, int compute, int scale) {
  *made = calloc(1, sizeof **made);
  (*made)->compute = compute;
  (*made)->scale = scale;
  return DONE;
}

int cublasLtMatmulDescDestroy(description *d) { return free(d), DONE; }

int cublasLtMatmulDescSetAttribute(description *d, int attribute, const void *value, size_t bytes) {
  int which = attribute - 3;
  if (which < 0 || which > 1 || bytes != sizeof(int)) return INVALID_VALUE;
  memcpy(&d->transposed[which], value, bytes);
  return DONE;
}

int cublasLtMatrixLayoutCreate(layout **made, int type, uint64_t rows, uint64_t columns, int64_t ld) {
  if (ld < (int64_t)rows) return INVALID_VALUE;
  *made = malloc(sizeof **made);
  **made = (layout){type, rows, columns, ld, 1, 0};
  return DONE;
}

int cublasLtMatrixLayoutDestroy(layout *l) { return free(l), DONE; }

int cublasLtMatrixLayoutSetAttribute(layout *l, int attribute, const void *value, size_t bytes) {
  if (attribute == 5 && bytes == sizeof l->count) memcpy(&l->count, value, bytes);
  else if (attribute == 6 && bytes == sizeof l->between) memcpy(&l->between, value, bytes);
  else return INVALID_VALUE;
  return DONE;
}

int cublasLtMatmulPreferenceCreate(preference **made) {
  *made = malloc(sizeof **made);
  **made = (preference){0, {256, 256, 256, 256}};
  return DONE;
}

int cublasLtMatmulPreferenceDestroy(preference *p) { return free(p), DONE; }

int cublasLtMatmulPreferenceSetAttribute(preference *p, int attribute, const void *value, size_t bytes) {
  if (attribute == 1 && bytes == sizeof(size_t)) memcpy(&p->workspace, value, bytes);
  else if (attribute >= 5 && attribute <= 8 && bytes == 4) memcpy(&p->alignments[attribute - 5], value, bytes);
  else return INVALID_VALUE;
  return DONE;
}

// A number that differs where the product does.
static uint64_t fingerprint(const description *d, const layout *const *l) {
  uint64_t hash = 14695981039346656037u, parts[2 + 4 * 6];
  size_t count = 0;
  for (int side = A; side <= B; side++) parts[count++] = d->transposed[side];
  for (int m = A; m <= D; m++) {
    parts[count++] = l[m]->type, parts[count++] = l[m]->rows;
    parts[count++] = l[m]->columns, parts[count++] = l[m]->ld;
    parts[count++] = l[m]->count, parts[count++] = l[m]->between;
  }
  for (size_t i = 0; i < count; i++) hash = (hash ^ parts[i]) * 1099511628211u;
  return hash;
}

static uint64_t sum_length(const description *d, const layout *a) { return d->transposed[A] ? a->rows : a->columns; }

static int fits(const description *d, const layout *const *l) {
  const layout *a = l[A], *b = l[B], *out = l[D];
  uint64_t m = d->transposed[A] ? a->columns : a->rows, n = d->transposed[B] ? b->rows : b->columns;
  uint64_t k = d->transposed[B] ? b->columns : b->rows;
  int types = a->type == b->type && l[C]->type == out->type && (out->type == a->type || out->type == R_32F);
  return types && d->compute == COMPUTE_32F && d->scale == R_32F && m == out->rows && n == out->columns &&
         k == sum_length(d, a) && l[C]->rows == m && l[C]->columns == n && a->count == out->count &&
         b->count == out->count && l[C]->count == out->count;
}

int cublasLtMatmulAlgoGetHeuristic(void *handle, description *d, layout *a, layout *b, layout *c, layout *out,
                                   preference *p, int most, proposal *proposed, int *count) {
  const layout *l[] = {a, b, c, out};
  proposals++;
  *count = 0;
  if (most < 1 || !fits(d, l)) return INVALID_VALUE;
  const char *there = getenv("EMOTRAIN_FAKE_CUDA");
  int mixed = a->type == R_16BF && out->type == R_32F;
  if (sum_length(d, a) == 13 || (mixed && there && !strcmp(there, "refusal"))) return NOT_SUPPORTED;
  *proposed = (proposal){.proposed.product = fingerprint(d, l), .workspace = p->workspace};
  memcpy(proposed->proposed.alignments, p->alignments, sizeof p->alignments);
  *count = 1;
  return DONE;
}

static float read_number(const void *matrix, int type, uint64_t at) {
  if (type == R_32F) return ((const float *)matrix)[at];
  if (type == R_16F) return ((const _Float16 *)matrix)[at];
  uint32_t bits = (uint32_t)((const uint16_t *)matrix)[at] << 16;
  float number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

static void write_number(void *matrix, int type, uint64_t at, float number) {
  if (type == R_32F) ((float *)matrix)[at] = number;
  else if (type == R_16F) ((_Float16 *)matrix)[at] = number;
  else {
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    // To the nearest, to the even one of two.
    ((uint16_t *)matrix)[at] = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  }
}

typedef struct {
  description d;
  layout a, b, out;
  const void *from[2];
  void *to, *workspace;
  size_t workspace_bytes;
  float alpha, beta;
} product;

static void multiply(void *data) {
  product *p = data;
  uint64_t sums = sum_length(&p->d, &p->a);
  // The working memory is written, so that it had better be nothing else.
  memset(p->workspace, 0xff, p->workspace_bytes);
  for (int64_t matrix = 0; matrix < p->out.count; matrix++)
    for (uint64_t row = 0; row < p->out.rows; row++)
      for (uint64_t column = 0; column < p->out.columns; column++) {
        float sum = 0;
        for (uint64_t k = 0; k < sums; k++) {
          uint64_t a = p->d.transposed[A] ? k + row * p->a.ld : row + k * p->a.ld;
          uint64_t b = p->d.transposed[B] ? column + k * p->b.ld : k + column * p->b.ld;
          sum += read_number(p->from[A], p->a.type, a + matrix * p->a.between) *
                 read_number(p->from[B], p->b.type, b + matrix * p->b.between);
        }
        uint64_t at = row + column * p->out.ld + matrix * p->out.between;
        // Nothing is read where it is multiplied by zero.
        float before = p->beta == 0 ? 0 : p->beta * read_number(p->to, p->out.type, at);
        write_number(p->to, p->out.type, at, p->alpha * sum + before);
      }
  // Nothing is freed: a graph may do this again.
}

int cublasLtMatmul(void *handle, description *d, const void *alpha, const void *a, layout *al, const void *b,
                   layout *bl, const void *beta, const void *c, layout *cl, void *out, layout *ol,
                   const algorithm *chosen, void *workspace, size_t workspace_bytes, void *stream) {
  const layout *l[] = {al, bl, cl, ol};
  const void *matrices[] = {a, b, c, out};
  if (!fits(d, l) || c != out || chosen->product != fingerprint(d, l)) return INVALID_VALUE;
  for (int m = A; m <= D; m++)
    if ((uintptr_t)matrices[m] % chosen->alignments[m]) return INVALID_VALUE;
  if (sum_length(d, al) == 17) return EXECUTION_FAILED;
  product *made = malloc(sizeof *made);
  float factors[] = {*(const float *)alpha, *(const float *)beta};
  *made = (product){*d, *al, *bl, *ol, {a, b}, out, workspace, workspace_bytes, factors[0], factors[1]};
  return cuLaunchHostFunc(stream, multiply, made) ? EXECUTION_FAILED : DONE;
}
