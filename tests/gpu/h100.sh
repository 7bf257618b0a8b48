#!/usr/bin/env bash
# Ten minutes on a GPU: checks the CUDA program against the CPU, measures it, and measures PEFT beside it on the same
# card. Everything that is found is appended at once to OUT_DIR/results.jsonl, a line a measurement; the table comes
# last. tests/gpu/README.md is the log of what was measured.
#
#   bash h100.sh OUT_DIR                     on a card; needs the files that pack.sh packed, beside this script
#   bash h100.sh --device cpu OUT_DIR        rehearses every step on a tiny model, here; also --device wgpu
#
# EMOTRAIN names the program; without it emotrain.xz beside this script is unpacked. Without a card the real mode ends
# at once with exit code 6, and with 1 when a step failed that others do not depend on.
set -uo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
device=cuda
[[ "${1:-}" == --device ]] && { device="$2"; shift 2; }
out="${1:?usage: h100.sh [--device cuda|wgpu|cpu] OUT_DIR}"
mkdir -p "$out"
out="$(cd "$out" && pwd)"
results="$out/results.jsonl"
: >"$results"
failed=0
# A software device compiles each kernel for seconds; a card has minutes in all.
patience=1
[[ "$device" == wgpu ]] && patience=10

say() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }

# record STEP < JSON: appends the JSON object or objects on standard input, with the step's name.
record() {
  python3 -c 'import json, sys
text, step = sys.stdin.read(), sys.argv[1]
decoder, at = json.JSONDecoder(), 0
while text[at:].strip():
    at += len(text[at:]) - len(text[at:].lstrip())
    found, at = decoder.raw_decode(text, at)
    print(json.dumps({"step": step, **found}))' "$1" >>"$results"
}

# measured STEP SECONDS COMMAND...: runs a command that prints JSON, within a time limit, and keeps what it prints.
measured() {
  local step="$1" limit="$2"
  shift 2
  say "$step"
  local log="$out/$step"
  if timeout "$((limit * patience))" "$@" >"$log.json" 2>"$log.err"; then
    record "$step" <"$log.json" && return 0
  fi
  local status=$?
  failed=1
  printf '{"failed": %d}' "$status" | record "$step"
  tail -n 5 "$log.err"
  return 1
}

# The peak of the card's memory while a command runs, in MiB, as nvidia-smi sees it.
with_peak() {
  local step="$1"
  (while :; do nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits; sleep 0.5; done) \
    >"$out/$step.memory" 2>/dev/null &
  local watcher=$!
  measured "$@"
  local status=$?
  kill "$watcher" 2>/dev/null
  wait "$watcher" 2>/dev/null
  [[ -s "$out/$step.memory" ]] &&
    printf '{"card_peak_mib": %d}' "$(sort -n "$out/$step.memory" | tail -n 1)" | record "$step"
  return $status
}

# 1. The surroundings.
say "surroundings"
if [[ "$device" == cuda ]] && ! timeout 5 nvidia-smi >"$out/nvidia-smi.txt" 2>&1; then
  echo "no NVIDIA GPU: nvidia-smi does not answer; --device cpu rehearses the steps" >&2
  exit 6
fi
[[ "$device" == cuda ]] && cat "$out/nvidia-smi.txt"
program="${EMOTRAIN:-$here/emotrain}"
if [[ ! -x "$program" ]]; then
  xz --decompress --keep --stdout "$here/emotrain.xz" >"$program" && chmod +x "$program" ||
    { echo "no program: set EMOTRAIN, or put emotrain.xz beside this script" >&2; exit 1; }
fi
if ldd "$program" | grep "not found"; then
  echo "the program misses libraries of this machine" >&2
  exit 1
fi
site="$(python3 -c 'import nvidia, os; print(list(nvidia.__path__)[0])' 2>/dev/null || true)"
for folder in "${CUDA_PATH:-}" /usr/local/cuda /opt/cuda "$site/cu13" "$site/cuda_runtime"; do
  [[ -e "$folder/include/cuda_fp16.h" ]] && { export CUDA_PATH="$folder"; break; }
done
for folder in "${CUDA_PATH:-}/lib64" "${CUDA_PATH:-}/lib" "$site/cu13/lib" "$site/cuda_nvrtc/lib"; do
  compgen -G "$folder/libnvrtc.so*" >/dev/null && { export LD_LIBRARY_PATH="$folder:${LD_LIBRARY_PATH:-}"; break; }
done
for folder in "${CUDA_PATH:-}/lib64" "${CUDA_PATH:-}/lib" "$site/cu13/lib" "$site/cublas/lib"; do
  compgen -G "$folder/libcublasLt.so*" >/dev/null && { export LD_LIBRARY_PATH="$folder:${LD_LIBRARY_PATH:-}"; break; }
done
# Where the choices of matrix products are kept, so that they come back with the results.
mkdir -p "$out/work"
printf '[environment]\npath = { directory = "%s" }\n\n[compilation]\ncache = true\n' "$out/cache" >"$out/work/cubecl.toml"
cd "$out/work"
python3 -c 'import peft, torch' 2>/dev/null && has_peft=1 || has_peft=0
printf '{"device": "%s", "program": "%s", "cuda_path": "%s", "peft": %d, "commit": "%s"}' \
  "$device" "$("$program" --version)" "${CUDA_PATH:-}" "$has_peft" "$(cat "$here/commit" 2>/dev/null)" | record surroundings

# What is measured: an 8B model on a card, something tiny in a rehearsal.
if [[ "$device" == cuda ]]; then
  config="$here/qwen3_8b.json" lengths=2048,650 dtype=bfloat16 torch=cuda torch_dtype=bf16 small=64
  products=8192x8192x8192,2048x4096x24576 warmup=3
else
  config="$out/work/tiny.json" lengths=48,32 dtype=float32 torch=cpu torch_dtype=f32 small=32
  products=256x256x256,64x128x256 warmup=1
  python3 - "$here/qwen3_8b.json" >"$config" <<'PYTHON'
import json, sys
tiny = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4)
tiny |= dict(num_key_value_heads=2, head_dim=16, vocab_size=256)
print(json.dumps(json.load(open(sys.argv[1])) | tiny))
PYTHON
fi
set_device=(--set "model.device=$device" --set "model.dtype=$dtype" --set lora.lora_alpha=128)
bench=("$program" bench --random "$config" --json "${set_device[@]}")
# The share of an H100's peak in bfloat16, dense.
peak=(--peak-tflops 989)

# 2. The device against the CPU: everything else is pointless where it fails.
measured selftest 60 "$program" selftest --device "$device" --json || exit 1

# 3. Loss and gradients beside PEFT's, on two layers of the 8B model's width.
if ((has_peft)); then
  python3 - "$config" >"$out/work/two.json" <<'PYTHON'
import json, sys
print(json.dumps(json.load(open(sys.argv[1])) | dict(num_hidden_layers=2, vocab_size=4096)))
PYTHON
  say "a two-layer model"
  timeout 60 python3 "$here/gradients.py" make "$out/work/two.json" "$out/work/two" --device "$torch"
  measured gradients 60 "$program" bench "$out/work/two" --json --tokens "$small" --steps 2 --warmup 1 \
    --gradients "$out/work/gradients.safetensors" "${set_device[@]}" --set train.learning_rate=1e-3 --set lora.lora_dropout=0 &&
    measured gradients_peft 60 python3 "$here/gradients.py" compare --device "$torch" "$out/work/two" \
      "$out/work/gradients.safetensors"
else
  echo "no torch with peft here: PEFT is not measured"
fi

# 4. Matrix products as layers make them, burn's and PyTorch's.
measured products 90 "${bench[@]}" --tokens 32 --steps 1 --warmup 0 --products "$products" --set "lora.r=8"
if ((has_peft)); then
  measured products_torch 40 python3 - "$products" "$torch" "$torch_dtype" <<'PYTHON'
import json, sys, time
import torch
dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[sys.argv[3]]
found = {}
for product in sys.argv[1].split(","):
    m, k, n = map(int, product.split("x"))
    a = torch.randn(m, k, device=sys.argv[2], dtype=dtype)
    b = torch.randn(n, k, device=sys.argv[2], dtype=dtype)
    for _ in range(2):
        begin = time.perf_counter()
        for _ in range(10):
            c = a @ b.T
        c[0, 0].item()
        seconds = time.perf_counter() - begin
    found[product] = 2 * m * k * n * 10 / seconds / 1e12
print(json.dumps({"products_tflops": found}))
PYTHON
fi

# 5. Training steps, without and with gradient checkpointing, on the card and in the host's memory, with a base in 4 bits,
# and the kernels of a step.
with_peak steps 150 "${bench[@]}" --tokens "$lengths" --warmup "$warmup" "${peak[@]}"
with_peak steps_checkpointed 90 "${bench[@]}" --tokens "$lengths" --warmup "$warmup" "${peak[@]}" \
  --set train.gradient_checkpointing=true
# The same with scores in memory, as where there are no tensor cores.
with_peak steps_eager 90 "${bench[@]}" --tokens "$lengths" --warmup "$warmup" "${peak[@]}" --set model.attn_implementation=eager
nf4=(--set quantization.load_in_4bit=true --set quantization.bnb_4bit_use_double_quant=true)
with_peak steps_nf4 150 "${bench[@]}" --tokens "$lengths" --warmup "$warmup" "${peak[@]}" "${nf4[@]}"
with_peak steps_nf4_checkpointed 120 "${bench[@]}" --tokens "$lengths" --warmup "$warmup" "${peak[@]}" "${nf4[@]}" \
  --set train.gradient_checkpointing=true
[[ "$device" == cpu ]] || with_peak steps_offloaded 60 "${bench[@]}" --tokens "${lengths%,*}" --warmup "$warmup" "${peak[@]}" \
  --set train.gradient_checkpointing=true --set train.activation_offloading=true
[[ "$device" == cpu ]] || measured kernels 90 "${bench[@]}" --tokens "${lengths%,*}" --steps 1 --warmup 2 --profile
# Greedy generation, and the kernels of a token.
profile=(--profile)
[[ "$device" == cpu ]] && profile=()
for prompts in 1 32; do
  measured "generate_$prompts" 60 "${bench[@]}" --tokens "${lengths#*,}" --steps 1 --warmup 0 --generate "$prompts" "${profile[@]}"
done

# 6. PEFT on the same card and shapes.
if ((has_peft)); then
  # Beside this script where it was packed, in its place in the repository otherwise.
  script="$here/pytorch_step.py"
  [[ -e "$script" ]] || script="$here/../golden/bench/pytorch_step.py"
  peft=(python3 "$script" --config "$config" --device "$torch" --dtype "$torch_dtype" --warmup "$warmup")
  measured peft 120 "${peft[@]}" --tokens "$lengths"
  measured peft_checkpointed 90 "${peft[@]}" --tokens "$lengths" --gradient-checkpointing
  measured peft_logits 90 "${peft[@]}" --tokens "$lengths" --logits-to-keep
  if python3 -c 'import bitsandbytes' 2>/dev/null && [[ "$device" == cuda ]]; then
    measured peft_nf4 120 "${peft[@]}" --tokens "$lengths" --nf4
  fi
fi

# 7. Once more for the spread.
measured steps_again 90 "${bench[@]}" --tokens "${lengths%,*}" --warmup "$warmup" "${peak[@]}"

say "results"
python3 "$here/table.py" "$results"
exit $failed
