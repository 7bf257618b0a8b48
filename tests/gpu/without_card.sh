#!/usr/bin/env bash
# What a program built with CUDA does on a machine without a card.
#
#   bash tests/gpu/without_card.sh CUDA_PROGRAM DEFAULT_PROGRAM
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
usage="usage: without_card.sh CUDA_PROGRAM DEFAULT_PROGRAM"
cuda="${1:?$usage}" default="${2:?$usage}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
export RUST_BACKTRACE=0

fail() { echo "without_card.sh: $*" >&2; exit 1; }

# refused WORD COMMAND...: exit code 3, one error that has the word, and a hint.
refused() {
  local word="$1" status=0
  shift
  "$@" >"$work/out" 2>"$work/err" || status=$?
  cat "$work/err"
  ((status == 3)) || fail "exit code $status where 3 is right: $*"
  grep -q "error: .*$word" "$work/err" && grep -q "hint: " "$work/err" || fail "no error with \"$word\" and a hint: $*"
  ! grep -q panicked "$work/err" || fail "a panic: $*"
}

if compgen -G '/dev/nvidia[0-9]*' >/dev/null; then
  echo "a card is here: nothing to check"
  exit 0
fi
refused "no cuda device" "$cuda" bench checkpoints/nano --set model.device=cuda
refused "no cuda device" "$cuda" selftest --device cuda
"$cuda" selftest --device cpu

# A few steps of the quickstart on the CPU, in both builds, to the same bits. The CUDA build is not optimised where it is
# tested, so the files are short.
head -n 12 recipes/quickstart/train.jsonl >"$work/train.jsonl"
head -n 1 recipes/quickstart/valid.jsonl >"$work/valid.jsonl"
steps=(--set model.device=cpu --set "data.train=$work/train.jsonl" --set "data.valid=$work/valid.jsonl")
steps+=(--set train.method=lora --set lora.r=16 --set "data.test=" --set eval.test=false --set eval.baseline=false --set train.max_steps=3)
steps+=(--set train.per_device_train_batch_size=2 --set eval.eval_steps=3 --set save.save_steps=3)
"$cuda" recipes/quickstart.toml -q "${steps[@]}" --set "train.output_dir=$work/cuda" >/dev/null
"$default" recipes/quickstart.toml -q "${steps[@]}" --set "train.output_dir=$work/default" >/dev/null
cmp "$work"/{cuda,default}/adapter/adapter_model.safetensors && echo "the adapter is the same to the bit"

status=0
bash tests/gpu/h100.sh "$work/h100" >/dev/null 2>"$work/err" || status=$?
((status == 6)) || fail "h100.sh without a card ended with $status where 6 is right"
EMOTRAIN="$(realpath "$default")" bash tests/gpu/h100.sh --device cpu "$work/rehearsal"
