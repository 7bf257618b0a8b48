"""Steps of four samples of MELD with PRC-Emo's whole prompt: emotrain against PEFT in PyTorch, the same losses.

    python meld_steps.py EMOTRAIN MODEL ENCODER DATA [--steps N] [--rounds N] [--dtype float32|bfloat16]

EMOTRAIN is the program, MODEL the folder or file of SmolLM2-135M-Instruct, ENCODER that of all-MiniLM-L6-v2, DATA a folder
with MELD's validation split, its interpretations and characteristics, and PRC-Emo's demonstrations, as the PRC-Emo
repository names them; packages: requirements.txt. The prompt has a history of 12, two interpretations, a characteristic and
three demonstrations. Samples are in the order of the dialogues. LoRA with r = 32 on all linear layers, without dropout,
both from the same PEFT adapter.

PyTorch does it as TRL and PEFT do: each sample is padded to the longest of its step, logits are formed of every token, the
loss is that of the answers' tokens. Prints, as a JSON line for each round, samples per second of both and the ratio, the
losses of both, and their largest relative difference, which must be below 1e-3 in float32. In bfloat16, where each rounds
in its own places and updates carry that on, only the first step's is looked at, which must be below 2e-2.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

BATCH = 4
RATE = 3e-4
RECIPE = """
[model]
model_name_or_path = "{base}"
device = "cpu"
dtype = "{dtype}"
[lora]
init_from = "{adapter}"
lora_dropout = 0.0
[data]
format = "prc_json"
label_set = "meld"
train = "{data}/meld.valid.json"
[prompt]
template = "prc_emo"
history_window = 12
[retrieval]
bank = "{bank}"
encoder = "{encoder}"
k = 3
[[knowledge]]
name = "explicit"
path = "{data}/meld.valid.interpretations.qwen3-14b.json"
level = "utterance"
required = false
[[knowledge]]
name = "implicit"
path = "{data}/meld.valid.interpretations.qwen3-14b.json"
level = "utterance"
required = false
[[knowledge]]
name = "characteristic"
path = "{data}/meld.valid.characteristics.qwen3-14b.json"
level = "utterance"
required = false
[curriculum]
name = "none"
difficulty = "file"
difficulty_file = "{order}"
shuffle = false
[train]
learning_rate = {rate}
lr_scheduler_type = "constant"
warmup_ratio = 0.0
weight_decay = 0.0
max_grad_norm = 1.0
per_device_train_batch_size = {batch}
gradient_accumulation_steps = 1
max_steps = {steps}
max_seq_length = 4096
[eval]
baseline = false
eval_steps = 0
load_best_model_at_end = false
[save]
save_steps = 0
[logging]
logging_steps = 1
report_to = ["jsonl"]
"""
HEADER = re.compile(r"^(\S+#\d+): (\d+) tokens, (\d+) supervised", re.M)
# How far losses may differ, and of how many steps.
WITHIN = {"float32": (1e-3, None), "bfloat16": (2e-2, 1)}


def samples(args, recipe, tokenizer, count):
    """Token ids of the first samples, and how many of them are the prompt's."""
    words = [args.program, "inspect", recipe, "--quiet", "--split", "train", "--limit", str(count)]
    text = subprocess.run(words, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    heads, found = list(HEADER.finditer(text)), []
    for head, after in zip(heads, [*heads[1:], None]):
        block = text[head.end() : after.start() if after else text.rindex("\ntrain: ")]
        block = block[block.index("\n") + 1 :].rstrip("\n")
        # Supervised tokens are in brackets at the end, and control characters are escaped.
        answer = re.search(r"(?:\[[^\[\]]*\])+$", block)
        parts = [block[: answer.start()], "".join(re.findall(r"\[([^\[\]]*)\]", answer[0]))]
        parts = [re.sub(r"\\u(00[0-9a-f]{2})", lambda escape: chr(int(escape[1], 16)), part) for part in parts]
        prompt, told = (tokenizer(part, add_special_tokens=False).input_ids for part in parts)
        assert len(prompt) + len(told) == int(head[2]) and len(told) == int(head[3]), f"{head[1]}: other tokens"
        found.append((prompt + told, len(prompt)))
    assert len(found) == count
    return found


def ours(args, recipe, output):
    """Losses of the steps and the seconds of all."""
    said = subprocess.run([args.program, recipe, "--set", f"train.output_dir={output}"], capture_output=True, text=True)
    if said.returncode != 0:
        sys.exit(f"emotrain ended with {said.returncode}:\n{said.stderr}")
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines], json.loads((output / "run.json").read_text())["training"]["seconds"]


def theirs(args, base, adapter, steps, pad):
    """The same of PyTorch."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, args.dtype))
    model = PeftModel.from_pretrained(model, adapter, is_trainable=True).train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.0)
    losses, start = [], time.perf_counter()
    for step in steps:
        longest = max(len(ids) for ids, _ in step)
        ids = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in step])
        mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in step])
        labels = torch.tensor([[-100] * n + ids[n:] + [-100] * (longest - len(ids)) for ids, n in step])
        loss = model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, time.perf_counter() - start


def first_adapter(base, place):
    """An untrained adapter of PEFT's, for both."""
    torch.manual_seed(0)
    config = LoraConfig(r=32, lora_alpha=128, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config).save_pretrained(place)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("model", type=Path)
    parser.add_argument("encoder", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--bank", type=Path, help="one that is there, in place of one of DATA's demonstrations")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--dtype", choices=list(WITHIN), default="float32")
    args = parser.parse_args()
    logging.disable_progress_bar()
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        base, adapter, recipe = (place / name for name in ("base", "adapter", "recipe.toml"))
        program = lambda *words: subprocess.run([args.program, *map(str, words)], check=True, capture_output=True)
        model = next(args.model.glob("*.gguf"), args.model)
        program("export", model, "--format", "merged", "--dtype", "float32", "--out", base)
        bank = (args.bank or place / "bank").resolve()
        if args.bank is None:
            demonstrations = [args.data / name for name in ("meld.train.json", "demonstrations.prc-emo.json")]
            program("bank", "build", bank, *demonstrations, "--encoder", args.encoder)
        first_adapter(base, adapter)
        # Each dialogue is as hard as its place in the file says, so that they come in its order.
        dialogues = json.loads((args.data / "meld.valid.json").read_text(encoding="utf-8"))
        order = place / "order.jsonl"
        order.write_text("".join(json.dumps({"id": id, "dif": at}) + "\n" for at, id in enumerate(dialogues)))
        named = {"base": base, "adapter": adapter, "order": order, "bank": bank, "encoder": args.encoder.resolve()}
        numbers = {"data": args.data.resolve(), "dtype": args.dtype, "rate": RATE, "batch": BATCH, "steps": args.steps}
        recipe.write_text(RECIPE.format(**named, **numbers))
        tokenizer = AutoTokenizer.from_pretrained(base)
        found = samples(args, recipe, tokenizer, BATCH * args.steps)
        steps = [found[start : start + BATCH] for start in range(0, len(found), BATCH)]
        for number in range(args.rounds):
            mine, seconds = ours(args, recipe, place / f"run-{number}")
            others, other_seconds = theirs(args, base, adapter, steps, tokenizer.pad_token_id or 0)
            within, compared = WITHIN[args.dtype]
            pairs = list(zip(mine, others, strict=True))[:compared]
            difference = max(abs(one - other) / other for one, other in pairs)
            result = {
                "dtype": args.dtype,
                "samples": len(found),
                "tokens": sum(len(ids) for ids, _ in found),
                "emotrain_samples_per_second": round(len(found) / seconds, 3),
                "peft_samples_per_second": round(len(found) / other_seconds, 3),
                "ratio": round(other_seconds / seconds, 2),
                "losses": [round(loss, 4) for loss in mine],
                "peft_losses": [round(loss, 4) for loss in others],
                "loss_difference": float(f"{difference:.1e}"),
            }
            print(json.dumps(result), flush=True)
            assert difference < within, others


if __name__ == "__main__":
    main()
