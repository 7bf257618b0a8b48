"""Ask PEFT and transformers what emotrain was asked: the scores of a trained adapter must be the same.

    emotrain recipes/quickstart.toml --set train.method=lora --set train.output_dir=checkpoints/quickstart-lora
    python tests/golden/lora/serve.py --emotrain target/release/emotrain \
        --recipe recipes/quickstart.toml --run checkpoints/quickstart-lora --split test --limit 40

Takes the prompts from `emotrain inspect`, encodes them with transformers' tokenizer, loads the run's adapter with
PEFT on the base model of the recipe, and compares the log-probability of every label with the run's predictions.
Made for tools that serve an adapter; needs a base model in Hugging Face's form.
"""

import argparse
import json
import re
import subprocess
import tomllib

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

HEADER = re.compile(r"^(\S+#\d+): (\d+) tokens, (\d+) supervised", re.M)


def prompts(arguments, tokenizer, completions):
    command = [arguments.emotrain, "inspect", arguments.recipe, "--split", arguments.split]
    command += ["--limit", str(arguments.limit)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    heads = list(HEADER.finditer(text))
    for head, after in zip(heads, [*heads[1:], None]):
        block = text[head.end() : after.start() if after else len(text)]
        block = block[block.index("\n") + 1 :]
        marked = ["".join(f"[{tokenizer.decode([token])}]" for token in ids) for ids in completions]
        ends = [block.rfind(mark) for mark in marked]
        ids = tokenizer(block[: max(ends)], add_special_tokens=False).input_ids
        assert len(ids) == int(head[2]) - int(head[3]), f"{head[1]}: other tokens"
        yield head[1], ids


def main():
    parser = argparse.ArgumentParser()
    for name in ("emotrain", "recipe", "run"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--split", default="valid")
    parser.add_argument("--limit", type=int, default=40)
    arguments = parser.parse_args()

    with open(f"{arguments.run}/recipe.toml", "rb") as file:
        base = tomllib.load(file)["model"]["model_name_or_path"]
    contract = json.load(open(f"{arguments.run}/adapter/prompt_contract.json"))
    tokenizer = AutoTokenizer.from_pretrained(base)
    golden = contract["golden"]
    assert tokenizer(golden["text"], add_special_tokens=False).input_ids == golden["ids"]
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, f"{arguments.run}/adapter").eval()
    lines = open(f"{arguments.run}/predictions.{arguments.split}.jsonl")
    expected = {row["id"]: row["scores"] for row in map(json.loads, lines)}

    worst, agree, count = 0.0, 0, 0
    for name, prompt in prompts(arguments, tokenizer, contract["label_completions"]):
        scores = {}
        for label, completion in zip(contract["labels"], contract["label_completions"]):
            with torch.no_grad():
                log_probs = model(torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
            places = range(len(prompt) - 1, len(prompt) - 1 + len(completion))
            scores[label] = sum(log_probs[p, t].item() for p, t in zip(places, completion))
        worst = max(worst, *(abs(scores[label] - expected[name][label]) for label in scores))
        agree += max(scores, key=scores.get) == max(expected[name], key=expected[name].get)
        count += 1
    print(f"{count} prompts: {agree} with the same label, scores differ by {worst:.2e} at most")


if __name__ == "__main__":
    main()
