// What CUDA C++ means on a processor: put before a kernel that cubecl wrote, and `KERNEL(name)` after it, this makes of it
// a library that computes what the kernel would on a card.
//
// The threads of a block are contexts that change at barriers and where a warp exchanges numbers, in an order that turns
// at each of them, so that one who reads what another has yet to write finds old numbers. Shared memory begins as NaN.
// Names and meanings are those of NVIDIA's CUDA C++ Programming Guide, as far as cubecl uses them. A barrier that not all
// threads reach, and an address that is not aligned as a card needs it, end the program.
#pragma once
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <cmath>
#include <math.h>
#include <tuple>
#include <type_traits>
#include <utility>

// The kernel has its own names for these, which differ from those of the headers.
#define uint64_t kernel_uint64_t
#define int64_t kernel_int64_t

#define __global__
#define __device__
#define __shared__
#define __grid_constant__
#define __launch_bounds__(threads)
#define __align__(bytes) __attribute__((aligned(bytes)))

struct uint3 {
  unsigned x, y, z;
};
static uint3 threadIdx, blockIdx, blockDim, gridDim;
static const unsigned warpSize = 32;

// Numbers of 16 bits: each operation is one of float whose result is rounded.

template <class T> using number = std::enable_if_t<std::is_arithmetic_v<T>, int>;

struct __half {
  _Float16 value;
  __half() = default;
  template <class T, number<T> = 0> __half(T x) : value((float)x) {}
  operator float() const { return value; }
};

struct __nv_bfloat16 {
  uint16_t bits;
  __nv_bfloat16() = default;
  template <class T, number<T> = 0> __nv_bfloat16(T from) {
    float x = from;
    uint32_t all;
    memcpy(&all, &x, 4);
    bits = x != x ? 0x7fff : (all + 0x7fff + (all >> 16 & 1)) >> 16;
  }
  operator float() const {
    uint32_t all = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &all, 4);
    return x;
  }
};

// Functions.

template <class T> static T min(T a, T b) { return b < a ? b : a; }
template <class T> static T max(T a, T b) { return a < b ? b : a; }
template <> float min(float a, float b) { return fminf(a, b); }
template <> float max(float a, float b) { return fmaxf(a, b); }
template <class T> static T __hmin(T a, T b) { return T(fminf(a, b)); }
template <class T> static T __hmax(T a, T b) { return T(fmaxf(a, b)); }
static inline float __fmax_nan(float a, float b) { return a != a || b != b ? NAN : fmaxf(a, b); }
static inline float __fmin_nan(float a, float b) { return a != a || b != b ? NAN : fminf(a, b); }
static inline float rsqrt(float x) { return 1 / sqrtf(x); }
static inline uint32_t __umulhi(uint32_t a, uint32_t b) { return (unsigned long long)a * b >> 32; }
static inline int __clz(uint32_t x) { return x ? __builtin_clz(x) : 32; }
static inline int __popc(uint32_t x) { return __builtin_popcount(x); }
static inline int __ffs(uint32_t x) { return __builtin_ffs(x); }
template <class T> static T atomicAdd(T *at, T x) {
  T old = *at;
  *at = old + x;
  return old;
}

// The threads of a block.

enum state { RUNS, AT_WARP, AT_BLOCK, DONE };

struct thread {
  jmp_buf at;
  ucontext_t first;
  state is;
  bool began;
  // The line of the barrier, and what it shows its warp, this time and the last.
  int line;
  unsigned times;
  char shown[2][16];
  unsigned mask;
};

static thread threads[1024];
static thread *now;
static jmp_buf scheduler;
static void (*body)();

static void wait(state is, int line) {
  now->is = is;
  now->line = line;
  if (!_setjmp(now->at)) _longjmp(scheduler, 1);
}

static void life() {
  for (;;) {
    body();
    wait(DONE, 0);
  }
}

static void go_on(unsigned number) {
  now = threads + number;
  threadIdx = {number % blockDim.x, number / blockDim.x % blockDim.y, number / blockDim.x / blockDim.y};
  if (_setjmp(scheduler)) return;
  if (now->began) _longjmp(now->at, 1);
  size_t bytes = 256 << 10;
  now->began = true;
  getcontext(&now->first);
  now->first.uc_stack.ss_sp = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  now->first.uc_stack.ss_size = bytes;
  makecontext(&now->first, life, 0);
  setcontext(&now->first);
}

// Lets those go on who wait for others of their warp; whether there were any.
static bool release_warps(unsigned count) {
  bool any = false;
  for (unsigned start = 0; start < count; start += 32) {
    unsigned mask = 0;
    int line = 0;
    for (unsigned lane = 0; lane < 32 && start + lane < count; lane++) {
      thread *of = threads + start + lane;
      if (of->is != AT_WARP) continue;
      if (mask && line != of->line) {
        fprintf(stderr, "threads of a warp wait at different places, %d and %d\n", line, of->line);
        abort();
      }
      line = of->line;
      mask |= 1u << lane;
    }
    for (unsigned lane = 0; lane < 32; lane++)
      if (mask >> lane & 1) threads[start + lane].is = RUNS, threads[start + lane].mask = mask;
    any |= mask != 0;
  }
  return any;
}

// The same for a block's barrier, which all have to have reached who have not ended.
static bool release_block(unsigned count) {
  int line = 0;
  for (unsigned i = 0; i < count; i++) {
    if (threads[i].is != AT_BLOCK) continue;
    if (line && line != threads[i].line) {
      fprintf(stderr, "threads of a block wait at different barriers, in lines %d and %d\n", line, threads[i].line);
      abort();
    }
    line = threads[i].line;
    threads[i].is = RUNS;
  }
  return line;
}

static void run_block(unsigned count) {
  for (unsigned i = 0; i < count; i++) threads[i].is = RUNS;
  for (unsigned turn = 0;; turn++) {
    for (unsigned i = 0; i < count; i++) {
      unsigned number = turn % 2 ? count - 1 - i : i;
      if (threads[number].is == RUNS) go_on(number);
    }
    if (!release_warps(count) && !release_block(count)) return;
  }
}

#define __syncthreads() wait(AT_BLOCK, __LINE__)
#define __syncwarp() wait(AT_WARP, __LINE__)
#define __threadfence()

// Where threads of a warp wait for one another, beside lines.
enum place { SHUFFLE = -1, LDMATRIX = -2, MMA_LEFT = -3, MMA_RIGHT = -4 };

// What a thread shows is there for its warp until it shows something the time after the next.
template <class T> static void show(T x, place at = SHUFFLE) {
  static_assert(sizeof(T) <= 16, "too large a number");
  memcpy(now->shown[++now->times % 2], &x, sizeof x);
  wait(AT_WARP, at);
}

template <class T> static T shown_by(unsigned lane) {
  unsigned me = now - threads;
  T x;
  memcpy(&x, threads[me / 32 * 32 + lane % 32].shown[now->times % 2], sizeof x);
  return x;
}

static inline unsigned lane() { return (now - threads) % 32; }
static inline unsigned __activemask() { return 0; }
template <class T> static T __shfl_sync(unsigned, T x, unsigned from) { return show(x), shown_by<T>(from); }
template <class T> static T __shfl_xor_sync(unsigned, T x, unsigned by) { return show(x), shown_by<T>(lane() ^ by); }
template <class T> static T __shfl_up_sync(unsigned, T x, unsigned by) {
  return show(x), shown_by<T>(lane() < by ? lane() : lane() - by);
}
template <class T> static T __shfl_down_sync(unsigned, T x, unsigned by) {
  return show(x), shown_by<T>(lane() + by > 31 ? lane() : lane() + by);
}
static inline unsigned __ballot_sync(unsigned, bool x) {
  show(x);
  unsigned bits = 0;
  for (unsigned i = 0; i < 32; i++)
    if (now->mask >> i & 1 && shown_by<bool>(i)) bits |= 1u << i;
  return bits;
}
static inline bool __any_sync(unsigned, bool x) { return __ballot_sync(0, x); }
static inline bool __all_sync(unsigned, bool x) { return __ballot_sync(0, x) == now->mask; }

// Products on tensor cores: who has which number is said in NVIDIA's PTX manual, "Matrix fragments for mma.m16n8k16" and
// "ldmatrix".

static char *shared_memory;
static unsigned shared_bytes;

static inline uint32_t __cvta_generic_to_shared(const void *at) { return (const char *)at - shared_memory; }

// Four matrices of eight rows of sixteen bytes, of which each thread says where one begins.
template <class To> static void ldmatrix(To *to, uint32_t at, bool transposed) {
  if (at % 16 || at + 16 > shared_bytes) {
    fprintf(stderr, "ldmatrix reads at %u of %u bytes\n", at, shared_bytes);
    abort();
  }
  show(at, LDMATRIX);
  uint16_t numbers[8];
  unsigned group = lane() / 4, pair = lane() % 4 * 2;
  for (unsigned i = 0; i < 8; i++) {
    unsigned row = transposed ? pair + i % 2 : group, column = transposed ? group : pair + i % 2;
    memcpy(numbers + i, shared_memory + shown_by<uint32_t>(i / 2 * 8 + row) + 2 * column, 2);
  }
  memcpy(to, numbers, sizeof numbers);
}

struct numbers_16 {
  uint16_t bits[8];
};
struct numbers_8 {
  uint16_t bits[4];
};

template <class T> static float wide(uint16_t bits) {
  T x;
  memcpy(&x, &bits, 2);
  return x;
}

// `to = a · b + c` of 16 × 16 and 16 × 8 numbers.
template <class T, class To, class A, class B, class C> static void mma(To *to, const A &a, const B &b, const C &c) {
  numbers_16 left;
  numbers_8 right;
  memcpy(&left, &a, sizeof left);
  memcpy(&right, &b, sizeof right);
  float rows[2][16], columns[2][16], sums[4];
  memcpy(sums, &c, sizeof sums);
  unsigned group = lane() / 4, pair = lane() % 4 * 2;
  show(left, MMA_LEFT);
  for (unsigned below = 0; below < 2; below++)
    for (unsigned k = 0; k < 16; k++)
      rows[below][k] = wide<T>(shown_by<numbers_16>(group * 4 + k % 8 / 2).bits[4 * (k / 8) + 2 * below + k % 2]);
  show(right, MMA_RIGHT);
  for (unsigned which = 0; which < 2; which++)
    for (unsigned k = 0; k < 16; k++)
      columns[which][k] = wide<T>(shown_by<numbers_8>((pair + which) * 4 + k % 8 / 2).bits[2 * (k / 8) + k % 2]);
  for (unsigned i = 0; i < 4; i++)
    for (unsigned k = 0; k < 16; k++) sums[i] += rows[i / 2][k] * columns[i % 2][k];
  memcpy(to, sums, sizeof sums);
}

// A launch.

template <class... A> struct launch {
  std::tuple<A...> arguments;
  void (*kernel)(A...);
  uint3 grid, block;
  unsigned bytes;

  launch(void (*kernel)(A...), void **from, uint3 grid, uint3 block, unsigned bytes)
      : launch(kernel, from, grid, block, bytes, std::index_sequence_for<A...>()) {}
  template <size_t... I>
  launch(void (*kernel)(A...), void **from, uint3 grid, uint3 block, unsigned bytes, std::index_sequence<I...>)
      : arguments(*(A *)from[I]...), kernel(kernel), grid(grid), block(block), bytes(bytes) {}

  // `shared`: the block's shared memory, of `bytes`; `together`: whether threads wait for one another.
  void run(char *shared, bool together) {
    static launch *current;
    current = this;
    body = [] { std::apply(current->kernel, current->arguments); };
    blockDim = block, gridDim = grid;
    shared_memory = shared, shared_bytes = bytes;
    unsigned count = block.x * block.y * block.z;
    // Blocks in one order as well as in the other.
    static bool turned;
    turned = !turned;
    unsigned long blocks = (unsigned long)grid.x * grid.y * grid.z;
    for (unsigned long i = 0; i < blocks; i++) {
      unsigned long at = turned ? blocks - 1 - i : i;
      blockIdx = {(unsigned)(at % grid.x), (unsigned)(at / grid.x % grid.y), (unsigned)(at / grid.x / grid.y)};
      memset(shared, 0xff, bytes);
      if (together) {
        run_block(count);
        continue;
      }
      for (unsigned number = 0; number < count; number++) {
        threadIdx = {number % blockDim.x, number / blockDim.x % blockDim.y, number / blockDim.x / blockDim.y};
        body();
      }
    }
  }
};

template <class... A> static launch<A...> *launch_of(void (*kernel)(A...), void **from, uint3 grid, uint3 block,
                                                    unsigned bytes) {
  return new launch<A...>(kernel, from, grid, block, bytes);
}

// What the driver calls: a launch with its arguments copied, its work, its end.
#define KERNEL(name, shared, together)                                                          \
  using launched = std::remove_pointer_t<decltype(launch_of(name, nullptr, {}, {}, 0))>;        \
  extern "C" void *kernel_launch(void **from, uint3 grid, uint3 block, unsigned bytes) {        \
    return launch_of(name, from, grid, block, bytes);                                           \
  }                                                                                             \
  extern "C" void kernel_run(void *it) { ((launched *)it)->run(shared, together); }             \
  extern "C" void kernel_drop(void *it) { delete (launched *)it; }
