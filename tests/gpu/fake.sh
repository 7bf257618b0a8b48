#!/usr/bin/env bash
# The CUDA build on a driver, a run-time compiler, a cuBLASLt and an NCCL of the project's own, without a card: matrix
# products through the library, products that it refuses, burn's products where there is no library, and with kernels that
# are computed on the processor training, scoring and generation beside the CPU's, and training on three devices.
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

# The environment in which the program finds what is there: `library`, one that refuses a type (`refusal`), or the `driver`
# and the run-time compiler alone.
set_there() {
  local path="$fake/driver"
  [[ "$1" == driver ]] || path="$fake/library:$path"
  there=("EMOTRAIN_FAKE_CUDA=$1" "CUDA_PATH=$fake" "LD_LIBRARY_PATH=$path")
}

declare -A said=([library]="cuBLASLt 13.0.2" [refusal]="burn: cuBLASLt refuses" [driver]="burn: libcublasLt.so.13 is missing")
for what in library refusal driver; do
  set_there "$what"
  # Not in cargo's own environment, where what depends on CUDA_PATH would be built anew. One test at a time, since a
  # library that counts cannot tell who asked.
  runner="$(printf "'%s', " env "${there[@]}")"
  cargo --config "target.'cfg(unix)'.runner = [$runner]" \
    test -p emotrain -p emotrain-model --features emotrain/cuda --lib -- fake_card --test-threads 1
  # What multiplies is said once.
  env "${there[@]}" "$program" recipes/quickstart.toml --dry-run --set model.device=cuda >"$work/out" 2>&1 ||
    { cat "$work/out"; fail "a plan ended with an error"; }
  grep "products by" "$work/out"
  (($(grep -c "products by ${said[$what]}" "$work/out") == 1)) || fail "what multiplies is not said once"
done

# A whole model beside the CPU's. Each kernel is compiled once, as CUDA C++ for the processor. With `fused::tests` as another
# filter each kernel is compared with tensor operations over odd shapes too, which takes some fifteen minutes.
set_there library
there+=("EMOTRAIN_FAKE_KERNELS=1")
runner="$(printf "'%s', " env "${there[@]}")"
cargo --config "target.'cfg(unix)'.runner = [$runner]" \
  test -p emotrain -p emotrain-model --features emotrain/cuda --lib -- engine::gpu_tests generate::gpu_tests \
  fused::gpu::buffers fused::gpu::flash fused::gpu::sums --test-threads 1
env "${there[@]}" "$program" selftest --device cuda | tee "$work/numbers"
# However far the host is ahead of the device's thread, which differs each time.
env "${there[@]}" "$program" selftest --device cuda | cmp - "$work/numbers" || fail "the self-test has other numbers again"

# A training in 4 bits that was stopped goes on to the bits of one that was not.
head -n 1 recipes/quickstart/valid.jsonl >"$work/valid.jsonl"
trained() {
  env "${there[@]}" "$program" recipes/quickstart.toml --set model.device=cuda --set model.dtype=bfloat16 \
    --set quantization.load_in_4bit=true --set train.method=lora --set lora.lora_dropout=0.1 --set train.max_steps=4 \
    --set train.per_device_train_batch_size=2 --set eval.baseline=false --set eval.test=false --set eval.eval_steps=4 \
    --set save.save_steps=2 --set "data.valid=$work/valid.jsonl" --set "train.output_dir=$work/$1" "${@:2}" \
    >"$work/out" 2>&1 || { cat "$work/out"; fail "a training ended with an error"; }
}
trained whole
cp -r "$work/whole" "$work/stopped"
rm -r "$work/stopped/"{step-000004,adapter,report.json,predictions.valid.jsonl}
trained stopped --resume
grep "resuming after step 2 of 4" "$work/out"
for file in step-000004/{parameters,optimizer}.safetensors adapter/adapter_model.safetensors predictions.valid.jsonl; do
  cmp "$work/whole/$file" "$work/stopped/$file" || fail "$file is another one after it was resumed"
done

# A step dealt to three devices is that of one, through NCCL, which writes as early as it may.
triple=(--set train.gradient_accumulation_steps=3 --set train.max_steps=2 --set eval.eval_steps=2
  --set train.per_device_train_batch_size=1)
trained one "${triple[@]}"
there+=("EMOTRAIN_FAKE_DEVICES=3" "EMOTRAIN_FAKE_TELL=1" "LD_LIBRARY_PATH=$fake/library:$fake/driver:$fake/nccl")
trained three "${triple[@]}" --set model.num_devices=3
grep -q "copies to others through NCCL" "$work/out" || fail "what copies go through is not said"
grep "NCCL sends .* to 0" "$work/out" | sort | uniq -c
for file in step-000002/parameters.safetensors adapter/adapter_model.safetensors predictions.valid.jsonl; do
  cmp "$work/one/$file" "$work/three/$file" || fail "$file is another one on three devices"
done

# A product that is refused in the middle of the work is an error with the product's shape and no defect of the program.
set_there library
status=0
env "${there[@]}" EMOTRAIN_FAKE_ZEROS=1 "$program" bench checkpoints/nano --products 8x13x8 --tokens 24 --completion 4 \
  --steps 1 --warmup 0 --set model.device=cuda --set lora.r=8 >"$work/out" 2>"$work/err" || status=$?
tail -n 2 "$work/err"
((status == 3)) || fail "exit code $status where 3 is right"
grep -q "^error: the device failed: cuBLASLt refuses the product \[8, 13\]" "$work/err" || fail "no error with the product"
