"""The PyTorch + PEFT side of the speed comparison: LoRA training steps.

Per step: one sequence of random tokens with a 3-token completion, full logits and loss as in
`model(labels=...)`, clipping, AdamW. LoRA r 32, alpha 128, dropout 0.05 on all linear layers of
the blocks; adapters stay f32 over a bf16 base, as PEFT does.

Without --config the model is SmolLM2-135M of fetch-models.sh; with it, a model of that config.json
with random weights, made on the device. Prints one JSON line for each number of tokens; compare
ratios within one run on one machine, not the figures.
"""

import argparse
import json
import os
import resource
import statistics
import time
from pathlib import Path

import peft
import torch
import transformers

CACHE = Path(os.environ.get("EMOTRAIN_TEST_MODELS") or Path.home() / ".cache/emotrain-test-models")
COMPLETION = 3


def base(arguments, dtype):
    auto = transformers.AutoModelForCausalLM
    if arguments.config is None:
        folder = CACHE / "smollm2-135m-instruct"
        return auto.from_pretrained(folder, gguf_file="model.gguf", dtype=dtype).to(arguments.device)
    config = transformers.AutoConfig.from_pretrained(arguments.config)
    torch.set_default_dtype(dtype)
    with torch.device(arguments.device):
        model = auto.from_config(config)
    torch.set_default_dtype(torch.float32)
    return in_four_bits(model, arguments.device) if arguments.nf4 else model


def in_four_bits(model, device):
    """Replaces the blocks' linear layers by bitsandbytes' NF4 with double quantisation."""
    import bitsandbytes

    for name, linear in list(model.model.named_modules()):
        if not isinstance(linear, torch.nn.Linear):
            continue
        packed = bitsandbytes.nn.Linear4bit(
            linear.in_features,
            linear.out_features,
            bias=linear.bias is not None,
            compute_dtype=torch.bfloat16,
            compress_statistics=True,
            quant_type="nf4",
        )
        packed.weight = bitsandbytes.nn.Params4bit(
            linear.weight.data.cpu(), requires_grad=False, compress_statistics=True, quant_type="nf4"
        )
        packed.bias = linear.bias
        parent, _, child = name.rpartition(".")
        setattr(model.model.get_submodule(parent), child, packed.to(device))
    return model


def build(arguments, dtype):
    config = peft.LoraConfig(
        r=32,
        lora_alpha=128,
        lora_dropout=0.05,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    model = base(arguments, dtype)
    if arguments.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    return peft.get_peft_model(model, config).train()


def peak_rss_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(model, arguments, tokens):
    """Seconds of each measured step."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-4)
    ids = torch.randint(model.config.vocab_size, (1, tokens), device=arguments.device)
    labels = ids.clone()
    labels[:, :-COMPLETION] = -100
    keep = {"logits_to_keep": COMPLETION + 1} if arguments.logits_to_keep else {}
    if keep:
        labels = labels[:, -COMPLETION - 1 :]
    seconds = []
    for step in range(arguments.warmup + arguments.steps):
        start = time.perf_counter()
        loss = model(input_ids=ids, labels=labels, use_cache=False, **keep).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 0.3)
        optimizer.step()
        optimizer.zero_grad()
        if arguments.device != "cpu":
            torch.cuda.synchronize()
        if step >= arguments.warmup:
            seconds.append(time.perf_counter() - start)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--config", help="a config.json: random weights in place of SmolLM2-135M")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tokens", default="512", help="several, separated by commas")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--nf4", action="store_true", help="the base in bitsandbytes' NF4, with --config")
    parser.add_argument("--logits-to-keep", action="store_true", help="form logits of the completion alone")
    arguments = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model = build(arguments, {"f32": torch.float32, "bf16": torch.bfloat16}[arguments.dtype])
    load_peak_rss_mib = peak_rss_mib()  # the peak below is the steps' own if it is larger
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    for tokens in map(int, arguments.tokens.split(",")):
        on_gpu = arguments.device != "cpu"
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        seconds = measure(model, arguments, tokens)
        median = statistics.median(seconds)
        report = {
            "side": "peft",
            "dtype": arguments.dtype + (" over nf4" if arguments.nf4 else ""),
            "threads": arguments.threads,
            "tokens": tokens,
            "gradient_checkpointing": arguments.gradient_checkpointing,
            "logits_to_keep": arguments.logits_to_keep,
            "steps_per_second": round(1 / median, 4),
            "tokens_per_second": round(tokens / median, 1),
            "seconds": [round(second, 3) for second in seconds],
            "peak_rss_mib": peak_rss_mib(),
            "load_peak_rss_mib": load_peak_rss_mib,
            "device_mib": torch.cuda.max_memory_allocated() >> 20 if on_gpu else None,
            "trainable_parameters": sum(weight.numel() for weight in trained),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "peft": peft.__version__,
        }
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
