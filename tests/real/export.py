"""What `emotrain export` writes, loaded by transformers and PEFT: the same logits as the original.

    python export.py EMOTRAIN     (EMOTRAIN: the program; packages: ../golden/requirements.txt)

For a tiny model of every family (../golden/decoder) and the adapter that PEFT began with (../golden/lora): the adapter
written again loads into PEFT, the merged model into transformers alone, in one file and in shards; both have the logits
of PEFT with the original adapter to 1e-4 of their largest value, in float32, and the merged model in bfloat16 to 5 %.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.utils import logging

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
CASES = [
    "llama3_all_linear",
    "mistral_all_linear",
    "qwen2_rslora",
    "qwen2_query_value",
    "qwen3_all_linear",
    "phi3_all_linear",
    "phi4_query_key_value",
    "gemma3_all_linear",
]
PROMPTS = 10


def load(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    return model.eval()


def logits(model, prompts):
    return [model(ids[None]).logits[0].float() for ids in prompts]


def furthest(ours, expected):
    largest = max(one.abs().max() for one in expected)
    return max((a - b).abs().max() for a, b in zip(ours, expected, strict=True)).item() / largest.item()


def export(program, adapter, base, folder, *options):
    command = [program, "export", adapter, "--base", base, "--out", folder, *options]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    return folder


def check(program, case, scratch):
    adapter = GOLDEN / "lora" / case / "initial"
    name = json.loads((GOLDEN / "lora" / case / "trajectory.json").read_text())["model"]
    base = GOLDEN / "decoder" / name
    generator = torch.Generator().manual_seed(5)
    prompts = [torch.randint(96, (12 + 3 * one,), generator=generator) for one in range(PROMPTS)]
    expected = logits(PeftModel.from_pretrained(load(base), adapter).eval(), prompts)
    without = furthest(logits(load(base), prompts), expected)
    assert without > 1e-2, f"{case}: the adapter does nothing"
    differences = {}
    written = export(program, adapter, base, scratch / f"{case}.peft", "--format", "peft")
    differences["peft"] = furthest(
        logits(PeftModel.from_pretrained(load(base), written).eval(), prompts), expected
    )
    for form, options in {
        "merged": [],
        "shards": ["--max-shard-size", "30KB"],
        "bfloat16": ["--dtype", "bfloat16"],
    }.items():
        written = export(program, adapter, base, scratch / f"{case}.{form}", "--format", "merged", *options)
        differences[form] = furthest(logits(load(written), prompts), expected)
    print(case, {form: f"{difference:.1e}" for form, difference in differences.items()}, f"without {without:.2f}")
    for form, difference in differences.items():
        assert difference < (5e-2 if form == "bfloat16" else 1e-4), f"{case}: {form}: {difference}"


def main():
    logging.disable_progress_bar()
    torch.set_grad_enabled(False)
    with tempfile.TemporaryDirectory() as scratch:
        for case in CASES:
            check(sys.argv[1], case, Path(scratch))
    print(f"{len(CASES)} adapters: every export has the original's logits")


if __name__ == "__main__":
    main()
