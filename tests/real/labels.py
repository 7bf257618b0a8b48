"""The labels that transformers gives with what emotrain wrote, and emotrain with what PEFT wrote: the same.

    python labels.py EMOTRAIN     (EMOTRAIN: the program; packages: requirements.txt)

Exports: an adapter of nano is trained for some steps and exported. For 200 validation utterances, the log-likelihood of
every label's tokens (prompt_contract.json) after the prompt's tokens is computed by PEFT with the adapter, and by
transformers alone with the merged model: to 1e-3 those that emotrain predicts with, and every label the same. This is
done with the quickstart's dialogues; and with MELD's, if EMOTRAIN_DATA_DIR is a folder with `meld.valid.json` in the
form of PRC-Emo.

Adapters: PEFT makes one with random matrices for a random model of every family; emotrain's log-likelihoods with
its files are PEFT's to 1e-4.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests/golden/decoder"))
from make import CONFIGS, randomise  # noqa: E402

RECIPE = ROOT / "recipes/quickstart.toml"
NANO = ROOT / "checkpoints/nano"
UTTERANCES = 200
TRAINING = {
    "train.method": "lora",
    "train.max_steps": 60,
    "train.learning_rate": 3e-3,
    "eval.eval_steps": 60,
    "eval.baseline": False,
    "eval.test": False,
}
HEADER = re.compile(r"^(\S+#\d+): (\d+) tokens, (\d+) supervised", re.M)
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
FUSED = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]
FAMILIES = {
    "llama3_tiny": {"target_modules": LINEARS},
    "mistral_tiny": {"target_modules": ["q_proj", "k_proj", "v_proj"]},
    "qwen2_tiny": {"target_modules": LINEARS, "use_rslora": True},
    "qwen3_tiny": {"target_modules": LINEARS, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3}},
    "phi3_tiny": {"target_modules": FUSED},
    "gemma3_tiny": {"target_modules": "all-linear"},
}


def emotrain(command, *words, settings=None):
    """What the program prints; `settings` replace values of the recipe."""
    told = [f"--set={key}={json.dumps(value)}" for key, value in (settings or {}).items()]
    words = [str(word) for word in (sys.argv[1], command, *words)] + told
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


def prompts(settings, tokenizer, contract):
    """The prompts of the validation file by utterance, as token ids."""
    text = emotrain("inspect", RECIPE, "--quiet", "--split", "valid", "--limit", 10**6, settings=settings)
    heads, ids = list(HEADER.finditer(text)), {}
    for head, after in zip(heads, [*heads[1:], None]):
        # Supervised tokens are in brackets, and control characters are escaped.
        block = text[head.end() : after.start() if after else len(text)]
        block = block[block.index("\n") + 1 :]
        answers = contract["label_completions"]
        marked = ["".join(f"[{tokenizer.decode([token])}]" for token in answer) for answer in answers]
        block = block[: max(block.rfind(mark) for mark in marked)]
        block = re.sub(r"\\u(00[0-9a-f]{2})", lambda escape: chr(int(escape[1], 16)), block)
        ids[head[1]] = tokenizer(block, add_special_tokens=False).input_ids
        assert len(ids[head[1]]) == int(head[2]) - int(head[3]), f"{head[1]}: other tokens"
    return ids


def likelihoods(model, prompt, contract):
    """The log-likelihood of every label's tokens after the prompt's."""
    answers = contract["label_completions"]
    longest = max(len(answer) for answer in answers)
    # Nothing sees what is behind it, so it does not matter how rows are filled up.
    rows = [prompt + answer + [answer[-1]] * (longest - len(answer)) for answer in answers]
    logits = model(torch.tensor(rows)).logits[:, len(prompt) - 1 : -1].double().log_softmax(-1)
    return {
        label: sum(logits[row, place, token].item() for place, token in enumerate(answers[row]))
        for row, label in enumerate(contract["labels"])
    }


def compare(name, model, asked, contract, expected, within):
    """Compares with what emotrain has predicted, `expected`, and returns the largest difference."""
    ours = {id: likelihoods(model, asked[id], contract) for id in expected}
    differences = [abs(ours[id][label] - expected[id][label]) for id in expected for label in ours[id]]
    same = sum(max(ours[id], key=ours[id].get) == max(expected[id], key=expected[id].get) for id in expected)
    labels = {max(scores, key=scores.get) for scores in expected.values()}
    print(
        f"{name}: {same} of {len(expected)} labels are the same, {len(labels)} different ones occur, "
        f"log-likelihoods differ by {max(differences):.1e} at most",
        flush=True,
    )
    if within is not None:
        assert same == len(expected) and max(differences) < within, name
    return max(differences)


def predicted(file):
    """The log-likelihoods in a file of predictions, by utterance."""
    return {row["id"]: row["scores"] for row in map(json.loads, file.read_text(encoding="utf-8").splitlines())}


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def exports(place):
    """Trains an adapter and exports it; returns the prompt contract."""
    settings = TRAINING | {"train.output_dir": str(place / "run")}
    emotrain("train", RECIPE, "--quiet", settings=settings)
    for form in ("peft", "merged"):
        words = ["--quiet", "--format", form, "--dtype", "float32", "--out", place / form]
        emotrain("export", place / "run", *words)
    return json.loads((place / "merged/prompt_contract.json").read_text())


def labels_agree(name, data, contract, place):
    """Compares the exports with what the run predicts for validation data."""
    tokenizer = AutoTokenizer.from_pretrained(place / "merged")
    golden = contract["golden"]
    assert tokenizer(golden["text"], add_special_tokens=False).input_ids == golden["ids"]
    settings, output = data | {"data.max_valid_samples": UTTERANCES}, place / f"{name}.jsonl"
    emotrain("eval", RECIPE, "--quiet", "--run", place / "run", "--output", output, settings=settings)
    asked, expected = prompts(settings, tokenizer, contract), predicted(output)
    assert len(expected) == UTTERANCES
    some = dict(list(expected.items())[:20])
    alone = compare(f"{name}, base alone", load(NANO), asked, contract, some, None)
    assert alone > 0.1, "the adapter does something"
    adapted = PeftModel.from_pretrained(load(NANO), place / "peft").eval()
    compare(f"{name}, PEFT with the adapter", adapted, asked, contract, expected, 1e-3)
    merged = load(place / "merged")
    compare(f"{name}, transformers with the merged model", merged, asked, contract, expected, 1e-3)


def made_by_peft(family, options, contract, place):
    """A random model with nano's vocabulary and a random adapter, written by transformers and PEFT."""
    tokenizer = AutoTokenizer.from_pretrained(NANO)
    config = CONFIGS[family]
    config.vocab_size, config.max_position_embeddings = len(tokenizer), 1024
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    randomise(model, seed=3)
    base, adapter = place / family, place / f"{family}.adapter"
    model.save_pretrained(base)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (base / file).write_bytes((NANO / file).read_bytes())
    lora = LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM", **options)
    adapted = get_peft_model(load(base), lora).eval()
    generator = torch.Generator().manual_seed(4)
    for name, weight in adapted.named_parameters():
        if "lora_" in name:
            scale = (1.0 if "lora_A" in name else 0.2) / weight.shape[1] ** 0.5
            weight.copy_(scale * torch.randn(weight.shape, generator=generator))
    adapted.save_pretrained(adapter)
    settings = {"model.model_name_or_path": str(base), "data.max_valid_samples": 20}
    output = place / f"{family}.jsonl"
    emotrain("eval", RECIPE, "--quiet", "--adapter", adapter, "--output", output, settings=settings)
    asked, expected = prompts(settings, tokenizer, contract), predicted(output)
    alone = compare(f"{family}, base alone", load(base), asked, contract, expected, None)
    assert alone > 0.1, "the adapter does something"
    compare(f"{family}, adapter made by PEFT", adapted, asked, contract, expected, 1e-4)


def main():
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # more of them wait for each other where other processes run
    torch.set_grad_enabled(False)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        contract = exports(place)
        labels_agree("quickstart", {}, contract, place)
        folder = os.environ.get("EMOTRAIN_DATA_DIR")
        if folder is None:
            print("MELD: left out, EMOTRAIN_DATA_DIR is not set")
        else:
            meld = str(Path(folder, "meld.valid.json").resolve())
            labels_agree("MELD", {"data.format": "prc_json", "data.valid": meld}, contract, place)
        for family, options in FAMILIES.items():
            made_by_peft(family, options, contract, place)


if __name__ == "__main__":
    main()
