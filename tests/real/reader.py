"""The reader of recipes/serving beside `emotrain predict`: the same probabilities.

    python reader.py EMOTRAIN     (EMOTRAIN: the program; packages: requirements.txt)

For a tiny random model of every family, an adapter is trained for some steps: the reader's log-likelihoods and
probabilities of the validation file's utterances are those that `emotrain predict` writes, to 1e-4. The same for nano with
prompts that show demonstrations and knowledge, and so many earlier utterances that some are dropped, for its adapter
beside its base and for the whole model. In bfloat16 the labels that change are counted. The folder of a run is its
adapter's, and calls without what the training showed are refused.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path += [str(ROOT / "tests/golden/decoder"), str(ROOT / "recipes/serving")]
from emotrain_reader import EmotionReader  # noqa: E402
from make import CONFIGS, randomise  # noqa: E402

NANO = ROOT / "checkpoints/nano"
FAMILIES = ["llama3_tiny", "mistral_tiny", "qwen2_tiny", "qwen3_tiny", "phi3_tiny", "gemma3_tiny"]
WITHIN = 1e-4
RECIPE = """
[model]
model_name_or_path = "{base}"
device = "cpu"
[data]
train = "{place}/train.jsonl"
valid = "{place}/valid.jsonl"
label_set = "meld"
[prompt]
template = "{template}"
history_window = {history}
{more}
[lora]
r = 4
lora_alpha = 8
[train]
learning_rate = 3e-3
max_steps = 4
max_seq_length = {length}
output_dir = "{place}/{name}"
[eval]
eval_steps = 4
baseline = false
[logging]
report_to = []
"""
SOURCES = """
[retrieval]
bank = "{bank}"
encoder = "lexical"
k = 2
show_score = true
show_source = true
[[knowledge]]
name = "explicit"
path = "{place}/explicit.jsonl"
availability = "online"
[[knowledge]]
name = "implicit"
path = "{place}/implicit.jsonl"
availability = "online"
[[knowledge]]
name = "characteristic"
path = "{place}/characteristic.jsonl"
availability = "online"
"""


def emotrain(*words):
    words = [str(word) for word in (sys.argv[1], *words, "--quiet")]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def make_base(family, place):
    """A random model with nano's vocabulary."""
    config = CONFIGS[family]
    config.vocab_size, config.max_position_embeddings = len(AutoTokenizer.from_pretrained(NANO)), 1024
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    randomise(model, seed=3)
    model.save_pretrained(place)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (place / file).write_bytes((NANO / file).read_bytes())
    return place


def train(place, name, base, template, history, length, more=""):
    text = RECIPE.format(
        place=place, name=name, base=base, template=template, history=history, length=length, more=more
    )
    (place / f"{name}.toml").write_text(text)
    emotrain("train", place / f"{name}.toml")


def compare(name, reader, predicted, dialogues, extra=lambda row: {}, within=WITHIN):
    """Compares with the rows of `emotrain predict`, and returns how many labels differ."""
    furthest, changed, dropped = 0.0, 0, set()
    for row in predicted:
        dialogue = dialogues[row["dialogue"]]
        beside = extra(row)
        shares = reader.probabilities(dialogue, row["position"], **beside)
        scores = reader.log_likelihoods(dialogue, row["position"], **beside)
        assert abs(sum(shares.values()) - 1) < 1e-9 and list(shares.values()) == sorted(shares.values(), reverse=True)
        differences = [abs(shares[label] - share) for label, share in row["probabilities"].items()]
        differences += [abs(scores[label] - score) for label, score in row["scores"].items()]
        furthest = max(furthest, *differences)
        changed += next(iter(shares)) != row["label"]
        dropped.add(row["label"])
    print(
        f"{name}: {len(predicted)} utterances, {len(dropped)} different labels, {changed} labels differ, probabilities and "
        f"log-likelihoods by {furthest:.1e} at most",
        flush=True,
    )
    if within is not None:
        assert furthest < within and changed == 0, name
    return changed


def refuses(message, call):
    """The call is an error with exactly this message."""
    try:
        call()
    except (ValueError, FileNotFoundError) as error:
        assert str(error) == message, error
    else:
        raise AssertionError(f"not refused: {message}")


def check_refusals(reader, dialogue, extra, plain, place):
    """What the training showed is passed, or left out on purpose."""
    shown = extra({"id": f"{dialogue}#1", "position": 1})
    turns = read_dialogues(place / "valid.jsonl")[dialogue]
    ask = lambda **more: reader.probabilities(turns, 1, **more)  # noqa: E731
    refuses("the training showed 2 demonstrations a prompt; pass demonstrations=…, or () to go without", ask)
    refuses(
        'the training showed knowledge; pass knowledge={"explicit": …, "implicit": …, "characteristic": …}, or {} to go '
        "without",
        lambda: ask(demonstrations=()),
    )
    part = {"explicit": "so"}
    refuses(
        "knowledge lacks ['characteristic', 'implicit']; pass \"\" where there is no text",
        lambda: ask(demonstrations=(), knowledge=part),
    )
    refuses(
        "prompts show no knowledge ['mood'], but ['characteristic', 'explicit', 'implicit']",
        lambda: ask(demonstrations=(), knowledge={"mood": "so"}),
    )
    for said, message in [
        ("Oh <|im_end|>", 'the prompt contains the text of the special token "<|im_end|>"; remove it from the dialogue'),
        (" ", "utterance 0 of the dialogue is empty"),
    ]:
        wrong = [("Ada", said), ("Bo", "So?")]
        refuses(message, lambda wrong=wrong: reader.probabilities(wrong, 1, demonstrations=(), knowledge={}))
    refuses(
        "position 9: the dialogue has 2 utterances, counted from 0",
        lambda: reader.probabilities(wrong, 9, demonstrations=(), knowledge={}),
    )
    without = ask(demonstrations=(), knowledge={})
    assert without != ask(**shown), "what is shown changes nothing"
    refuses(
        "the training showed no demonstrations; leave demonstrations out",
        lambda: plain.probabilities(turns, 1, demonstrations=shown["demonstrations"]),
    )
    refuses(
        f"{place}: no prompt_contract.json in it, nor in adapter/ or model/; name the folder of a run, of its adapter or of "
        "an export",
        lambda: EmotionReader(place),
    )


def read_dialogues(path):
    said = {row["id"]: row["utterances"] for row in rows(path.read_text(encoding="utf-8"))}
    return {id: [(one["speaker"], one["text"]) for one in utterances] for id, utterances in said.items()}


def with_sources(place, dialogues):
    """Demonstrations and knowledge in the prompts of nano, which has too little room for all of them."""
    for name in ("explicit", "implicit", "characteristic"):
        lines = (ROOT / "recipes/quickstart/train.jsonl").read_text(encoding="utf-8").splitlines()[:40]
        every = {row["id"]: len(row["utterances"]) for row in map(json.loads, lines)}
        every |= {id: len(turns) for id, turns in dialogues.items()}
        texts = (
            {"dialogue": id, "position": position, name: f"{name} {position % 3} of what is said."}
            for id, count in every.items()
            for position in range(count)
        )
        (place / f"{name}.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    bank = place / "bank"
    source = place / "demonstrations.jsonl"
    lines = (ROOT / "recipes/quickstart/train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    source.write_text("".join(lines[40:140]), encoding="utf-8")
    emotrain("bank", "build", bank, source, "--dataset", "other", "--format", "jsonl", "--label-set", "meld")
    sources = SOURCES.format(place=place, bank=bank)
    train(place, "sources", NANO, "prc_emo", 12, 460, sources)
    entries = rows((bank / "demonstrations.jsonl").read_text(encoding="utf-8"))
    # What the run has found for its validation file, which is what predict finds for it.
    hits = json.loads((place / "sources/retrieved.valid.json").read_text())["hits"]

    def extra(row):
        found = [(entries[number], score) for number, score in hits[row["id"]]]
        demonstrations = [
            {"text": one["text"], "label": one["label"], "source": one["dataset"], "score": score}
            for one, score in found
        ]
        names = ("explicit", "implicit", "characteristic")
        knowledge = {name: f"{name} {row['position'] % 3} of what is said." for name in names}
        return {"demonstrations": demonstrations, "knowledge": knowledge}

    run = place / "sources"
    predicted = rows(emotrain("predict", "--run", run, "--input", place / "valid.jsonl"))
    reader = EmotionReader(run)
    compare("demonstrations and knowledge", reader, predicted, dialogues, extra)
    check_refusals(reader, next(iter(dialogues)), extra, EmotionReader(place / FAMILIES[0] / "adapter"), place)
    emotrain("export", run, "--format", "merged", "--dtype", "float32", "--out", place / "merged")
    merged = EmotionReader(place / "merged")
    compare("the same, as a whole model", merged, predicted, dialogues, extra, 1e-3)
    low = EmotionReader(run / "adapter", dtype=torch.bfloat16)
    changed = compare("the same in bfloat16", low, predicted, dialogues, extra, None)
    assert changed < len(predicted) / 4, "more than rounding"


def main():
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # more of them wait for each other where other processes run
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        for split, count in (("train", 40), ("valid", 5)):
            lines = (ROOT / f"recipes/quickstart/{split}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
            (place / f"{split}.jsonl").write_text("".join(lines[:count]), encoding="utf-8")
        dialogues = read_dialogues(place / "valid.jsonl")
        for family in FAMILIES:
            with torch.no_grad():
                base = make_base(family, place / f"{family}.base")
            train(place, family, base, "plain", 3, 512)
            predicted = rows(emotrain("predict", "--run", place / family, "--input", place / "valid.jsonl"))
            compare(family, EmotionReader(place / family / "adapter"), predicted, dialogues)
        with_sources(place, dialogues)


if __name__ == "__main__":
    main()
