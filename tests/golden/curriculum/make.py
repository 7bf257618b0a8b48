"""Reference difficulties of dialogues, written from PRC-Emo's equations 1 to 5 with the standard library alone.

It shares nothing with the crate: emotions are vectors, similarity is their normalised dot product, and shifts are
found in the sequences of labels of each speaker and in pairs of neighbours.

`make.py` writes cases.json with made-up dialogues, `make.py --check` compares with it, and
`make.py --score FILE --set meld` prints a line of JSON per dialogue of a file of one's own: a MELD, IEMOCAP or
EmoryNLP file of the PRC-Emo repository (.json) or emotrain's own form (.jsonl).
"""

import argparse
import json
import math
import random
from itertools import pairwise
from pathlib import Path

PATH = Path(__file__).resolve().parent / "cases.json"

# The middle of the sector, from 0, that an emotion lies in; None is the centre.
SECTORS = {
    "joy": 1, "happy": 1, "happiness": 1, "joyful": 1,
    "powerful": 2,
    "excited": 3,
    "surprise": 4,
    "anger": 5, "angry": 5, "mad": 5,
    "disgust": 8,
    "fear": 9, "scared": 9,
    "frustrated": 10,
    "sadness": 14, "sad": 14,
    "peaceful": 19,
    "neutral": None, "no_emotion": None,
}  # fmt: skip

SETS = {
    "meld": ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"],
    "iemocap": ["happy", "sad", "neutral", "angry", "excited", "frustrated"],
    "emorynlp": ["joyful", "mad", "peaceful", "neutral", "sad", "powerful", "scared"],
    "dailydialog": ["no_emotion", "anger", "disgust", "fear", "happiness", "sadness", "surprise"],
}

DEFAULTS = {"k": 1.0, "b": 0.4, "num_labels": 0, "neutral_shifts": "count"}


def vector(emotion):
    sector = SECTORS[emotion]
    if sector is None:
        return (0.0, 0.0)
    angle = math.radians(9 + 18 * sector)
    return (math.cos(angle), math.sin(angle))


def similarity(one, other, labels):
    """Equation 1."""
    (x1, y1), (x2, y2) = vector(one), vector(other)
    if x1 * x2 == 0:
        return 1 / labels
    if x1 * x2 < 0:
        return 0.0
    return max(0.0, (x1 * x2 + y1 * y2) / (math.hypot(x1, y1) * math.hypot(x2, y2)))


def score(speakers, emotions, labels, settings):
    """Equations 2 to 5 and the two baselines for one dialogue."""
    labels = settings["num_labels"] or labels

    def shifts(pairs):
        ignored = settings["neutral_shifts"] == "ignore"
        pairs = [(one, other) for one, other in pairs if one != other]
        return [
            settings["k"] * similarity(one, other, labels) + settings["b"]
            for one, other in pairs
            if not (ignored and (SECTORS[one] is None or SECTORS[other] is None))
        ]

    turns = list(zip(speakers, emotions, strict=True))
    same = []
    for speaker in set(speakers):
        same += shifts(pairwise(emotion for who, emotion in turns if who == speaker))
    neighbours = [(one, other) for one, other in pairwise(turns) if one[0] != other[0]]
    diff = shifts((one[1], other[1]) for one, other in neighbours)
    n_utt, n_spk = len(turns), len(set(speakers))
    total = n_utt + n_spk
    return {
        "prc_emo": (math.fsum(same) + math.fsum(diff) + n_spk) / total,
        "wes": (math.fsum(same) + n_spk) / total,
        "es": (len(same) + n_spk) / total,
        "wes_same": math.fsum(same),
        "wes_diff": math.fsum(diff),
        "n_shift_same": len(same),
        "n_shift_diff": len(diff),
        "n_utt": n_utt,
        "n_spk": n_spk,
    }


def dialogue(draw, name, emotions):
    length = draw.choice([1, 2, 3, 5, 8, 13, 30])
    people = draw.choice([1, 2, 2, 3, 5])
    return {
        "id": name,
        "speakers": [f"speaker {draw.randrange(people)}" for _ in range(length)],
        "emotions": [draw.choice(emotions) for _ in range(length)],
    }


def cases():
    draw = random.Random(3)
    variations = [
        {},
        {"k": 2.0, "b": 0.0},
        {"k": 0.0, "b": 1.0, "neutral_shifts": "ignore"},
        {"num_labels": 12, "neutral_shifts": "ignore"},
        {"num_labels": 3},
    ]
    for name, emotions in SETS.items():
        for number, variation in enumerate(variations):
            settings = DEFAULTS | variation
            count = 30 if number == 0 else 8
            dialogues = [dialogue(draw, f"{name}-{number}-{i}", emotions) for i in range(count)]
            for each in dialogues:
                each["scores"] = score(each["speakers"], each["emotions"], len(emotions), settings)
            yield {"label_set": name} | settings | {"dialogues": dialogues}


def dialogues_of(file, emotions):
    """Ids, speakers and emotions of a file of one's own."""
    if file.suffix == ".jsonl":
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            yield (
                row["id"],
                [turn["speaker"].strip() for turn in row["utterances"]],
                [turn["label"] for turn in row["utterances"]],
            )
        return
    for name, row in json.loads(file.read_text(encoding="utf-8")).items():
        speakers = row.get("speakers") or [str(gender) for gender in row["genders"]]
        yield name, [who.strip() for who in speakers], [emotions[label] for label in row["labels"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--score", type=Path)
    parser.add_argument("--set", choices=SETS, default="meld")
    arguments = parser.parse_args()
    if arguments.score:
        emotions = SETS[arguments.set]
        for name, speakers, found in dialogues_of(arguments.score, emotions):
            print(json.dumps({"id": name} | score(speakers, found, len(emotions), DEFAULTS)))
        return
    lines = ",\n".join(json.dumps(case) for case in cases())
    text = f'{{"cases": [\n{lines}\n]}}\n'
    if arguments.check:
        assert PATH.read_text(encoding="utf-8") == text, "cases.json is not what this script writes"
    else:
        PATH.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
