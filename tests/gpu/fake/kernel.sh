#!/usr/bin/env bash
# Makes of a kernel in CUDA C++ a library that the driver of this folder runs on the processor.
#
#   bash kernel.sh KERNEL.cu KERNEL.so
#   bash kernel.sh                        compiles kernel.h once, for all of them
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# An address that is not aligned as a card needs it ends the program.
flags=(-std=gnu++17 -O1 -w -ffp-contract=off -fno-strict-aliasing -fsanitize=alignment -fno-sanitize-recover=alignment -fPIC)
if (($# == 0)); then
  exec c++ "${flags[@]}" -x c++-header -o "$here/kernel.h.gch" "$here/kernel.h"
fi
from="$1"
to="$2"
name="$(sed -nE 's/^extern "C" __global__ void __launch_bounds__\([0-9]+\) *([A-Za-z0-9_]+)\(.*/\1/p' "$from")"
shared="$(sed -nE 's/.*extern __shared__ (__align__\([0-9]+\)) char ([a-z0-9]+)\[\];.*/\1 char \2[232448];/p' "$from")"
together=false
grep -qE '__sync|_sync\(' "$from" && together=true
{
  echo '#include "kernel.h"'
  echo '#line 1'
  # The only inline assembly: the larger of two numbers, NaN if one is, sums that others may add to, and products on tensor
  # cores. Their registers are arrays that are taken for vectors.
  sed -E -e 's/(^|;)array<(\w+), ([0-9]+)> (const )?(v[0-9]+(_store)?) =/\1alignas(16) array<\2, \3> \4\5 =/' \
    -e 's/asm volatile\("ldmatrix\.sync\.aligned\.m8n8\.x4(\.trans)?\.[^"]*" : [^:]* : "r"\((\w+)\) : "memory"\);/ldmatrix(\&result, \2, sizeof "\1" > 1);/' \
    -e 's/asm volatile\("mma\.sync\.aligned\.m16n8k16\.row\.col\.f32\.b[^"]*" : /mma<__nv_bfloat16>(/' \
    -e 's/asm volatile\("mma\.sync\.aligned\.m16n8k16\.row\.col\.f32\.f[^"]*" : /mma<__half>(/' \
    -e '/^mma</s/>\([^:]* : "r"\((\w+)\.i_0\), .* "r"\((\w+)\.i_0\), "r"\(\w+\.i_1\), "f"\((\w+)\.i_0\).*/>(\&result, \1, \2, \3);/' \
    -e 's/asm\("(max|min)\.NaN\.f32 %0, %1, %2;" : "=f"\((\w+)\) : "f"\((\w+)\), "f"\((\w+)\)\);/\2 = __f\1_nan(\3, \4);/' \
    -e 's/asm volatile\("atom\.relaxed\.add\.f32 %0, \[%1\], %2;" : "=f"\((\w+)\) : "l"\((\w+)\), "f"\((\w+)\) *\);/\1 = atomicAdd((float *)\2, \3);/' \
    -e '/^#include/d' "$from"
  echo "${shared:-static char none[1];}"
  echo "KERNEL($name, $(sed -nE 's/.* char ([a-z0-9]+)\[.*/\1/p' <<<"${shared:-static char none[1];}"), $together)"
} >"$to.cc"
c++ "${flags[@]}" -shared -I"$here" -o "$to.$$" "$to.cc"
mv "$to.$$" "$to"
