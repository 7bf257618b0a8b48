#!/usr/bin/env bash
# Packs into a folder what h100.sh needs on a bare machine with a card: the CUDA program, stripped and compressed, the
# scripts, and bitsandbytes' library for one CUDA version. At most 60 MB.
#
#   bash tests/gpu/pack.sh PROGRAM DIR    PROGRAM is what `cargo build --profile dist -p emotrain --features cuda` made
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
usage="usage: pack.sh PROGRAM DIR"
program="${1:?$usage}" to="${2:?$usage}"
mkdir -p "$to"

strip -o "$to/emotrain" "$program"
# Two threads, since a higher level gains a tenth and takes minutes.
xz --force -3 --threads=2 "$to/emotrain"
cp "$root"/tests/gpu/{h100.sh,gradients.py,table.py,qwen3_8b.json} "$root/tests/golden/bench/pytorch_step.py" "$to/"
git -C "$root" rev-parse HEAD >"$to/commit"

if [[ "${EMOTRAIN_PACK_BITSANDBYTES:-1}" == 1 ]]; then
  work="$(mktemp -d)"
  trap 'rm -rf "$work"' EXIT
  echo "bitsandbytes==0.50.2 --hash=sha256:55348a9a4a21bfd99cf8c7b32fe67b4030ae5c2a05738e03c1747f65fa6ec283" >"$work/pins"
  python3 -m pip download --quiet --no-deps --require-hashes --only-binary=:all: --dest "$work" --requirement "$work/pins"
  python3 -m zipfile -e "$work"/*.whl "$work/unpacked"
  find "$work/unpacked/bitsandbytes" -name '*.so' ! -name '*cuda130.so' ! -name '*cpu.so' -delete
  rm -rf "$to/bitsandbytes"
  mv "$work/unpacked/bitsandbytes" "$to/bitsandbytes"
fi

size="$(du -sb "$to" | cut -f1)"
echo "$to: $((size / 1000000)) MB, the program $(($(stat -c %s "$to/emotrain.xz") / 1000000)) MB"
((size <= 64 << 20)) || { echo "more than 64 MiB" >&2; exit 1; }
