#!/usr/bin/env bash
# Builds the driver, the run-time compiler, the cuBLASLt and the NCCL of this folder, which need no card.
#
#   bash tests/gpu/fake/build.sh DIR    DIR/driver has libcuda.so and libnvrtc.so, DIR/library libcublasLt.so, DIR/nccl
#                                       libnccl.so, and DIR is a toolkit for CUDA_PATH
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
to="${1:?usage: build.sh DIR, the folder to fill}"
mkdir -p "$to/driver" "$to/library" "$to/nccl" "$to/include" "$to/kernels"
# A toolkit is one that has this header.
touch "$to/include/cuda_fp16.h"
flags=(-std=gnu11 -O2 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-unused-result -Werror -shared -fPIC)
cc "${flags[@]}" -o "$to/driver/libcuda.so" "$here/cuda.c" -lpthread
cc "${flags[@]}" -o "$to/driver/libnvrtc.so" "$here/nvrtc.c"
cc "${flags[@]}" -o "$to/library/libcublasLt.so" "$here/cublaslt.c" -L"$to/driver" -lcuda
cc "${flags[@]}" -o "$to/nccl/libnccl.so" "$here/nccl.c" -L"$to/driver" -lcuda -lpthread
# Kernels that another kernel.h made are not used again.
cmp -s "$here/kernel.h" "$to/kernel.h" && cmp -s "$here/kernel.sh" "$to/kernel.sh" || rm -f "$to/kernels/"*
cp "$here/kernel.h" "$here/kernel.sh" "$to/"
bash "$to/kernel.sh"
