#!/usr/bin/env bash
# The CUDA build on a driver, a run-time compiler and a cuBLASLt of the project's own, without a card: matrix products
# through the library, products that it refuses, and burn's products where there is no library.
#
#   bash tests/gpu/fake.sh CUDA_PROGRAM    where and how cargo builds is given by the environment, as in .ci/run
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
program="${1:?usage: fake.sh CUDA_PROGRAM}"
fake="$PWD/target/fake"
bash tests/gpu/fake/build.sh "$fake"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

fail() { echo "fake.sh: $*" >&2; exit 1; }

if compgen -G '/dev/nvidia[0-9]*' >/dev/null; then
  echo "a card is here: its own driver is used"
  exit 0
fi

declare -A said=([library]="cuBLASLt 13.0.2" [refusal]="burn: cuBLASLt refuses" [driver]="burn: libcublasLt.so.13 is missing")
for there in library refusal driver; do
  path="$fake/driver"
  [[ "$there" == driver ]] || path="$fake/library:$path"
  set_there=("EMOTRAIN_FAKE_CUDA=$there" "CUDA_PATH=$fake" "LD_LIBRARY_PATH=$path")
  # Not in cargo's own environment, where what depends on CUDA_PATH would be built anew. One test at a time, since a
  # library that counts cannot tell who asked.
  runner="$(printf "'%s', " env "${set_there[@]}")"
  cargo --config "target.'cfg(unix)'.runner = [$runner]" \
    test -p emotrain -p emotrain-model --features emotrain/cuda --lib -- fake_card --test-threads 1
  # What multiplies is said once.
  env "${set_there[@]}" "$program" recipes/quickstart.toml --dry-run --set model.device=cuda >"$work/out" 2>&1 ||
    { cat "$work/out"; fail "a plan ended with an error"; }
  grep "products by" "$work/out"
  (($(grep -c "products by ${said[$there]}" "$work/out") == 1)) || fail "what multiplies is not said once"
done
