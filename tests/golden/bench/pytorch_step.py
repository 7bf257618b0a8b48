"""The PyTorch + PEFT side of the speed comparison: one LoRA training step of SmolLM2-135M.

Per step: one sequence of 512 tokens with a 3-token completion, full logits and loss as in
`model(labels=...)`, clipping, AdamW. LoRA r 32, alpha 128, dropout 0.05 on all linear layers of
the blocks; adapters stay f32 over a bf16 base, as PEFT does. Needs fetch-models.sh.
Prints one JSON line; compare ratios within one run on one machine, not the figures.
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
TOKENS, COMPLETION = 512, 3


def build(dtype):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        CACHE / "smollm2-135m-instruct", gguf_file="model.gguf", dtype=dtype
    )
    config = peft.LoraConfig(
        r=32,
        lora_alpha=128,
        lora_dropout=0.05,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return peft.get_peft_model(model, config).train()


def peak_rss_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model = build({"f32": torch.float32, "bf16": torch.bfloat16}[arguments.dtype])
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-4)
    ids = torch.randint(model.config.vocab_size, (1, TOKENS))
    labels = ids.clone()
    labels[:, :-COMPLETION] = -100
    load_peak_rss_mib = peak_rss_mib()  # the peak below is the steps' own if it is larger
    seconds = []
    for step in range(arguments.warmup + arguments.steps):
        start = time.perf_counter()
        loss = model(input_ids=ids, labels=labels, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 0.3)
        optimizer.step()
        optimizer.zero_grad()
        if step >= arguments.warmup:
            seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    report = {
        "dtype": arguments.dtype,
        "threads": arguments.threads,
        "steps_per_second": round(1 / median, 4),
        "tokens_per_second": round(TOKENS / median, 1),
        "seconds": [round(second, 3) for second in seconds],
        "peak_rss_mib": peak_rss_mib(),
        "load_peak_rss_mib": load_peak_rss_mib,
        "trainable_parameters": sum(weight.numel() for weight in weights),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
