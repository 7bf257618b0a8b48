"""Reference classification metrics by scikit-learn (version in cases.json and ../requirements.txt).

A prediction of -1 is an answer that could not be parsed: it is wrong and belongs to no class, so
it lowers a recall but no precision, and the confusion matrix leaves it out. Averages go over all
n labels, also those that occur neither in truth nor in prediction (their F1 is 0).

`make.py` writes cases.json; `make.py --check` compares with it.
"""

import json
import sys
from pathlib import Path

import numpy as np
import sklearn
from sklearn import metrics

PATH = Path(__file__).resolve().parent / "cases.json"
UNPARSED = -1


def case(name, n, truth, prediction):
    labels = list(range(n))
    options = {"labels": labels, "zero_division": 0}
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, prediction, **options
    )
    return {
        "name": name,
        "labels": n,
        "truth": [int(label) for label in truth],
        "prediction": [int(label) for label in prediction],
        "accuracy": float(metrics.accuracy_score(truth, prediction)),
        "weighted_f1": float(metrics.f1_score(truth, prediction, average="weighted", **options)),
        "macro_f1": float(metrics.f1_score(truth, prediction, average="macro", **options)),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": [int(count) for count in support],
        "confusion": metrics.confusion_matrix(truth, prediction, labels=labels)
        .astype(int)
        .tolist(),
    }


def noisy(random, truth, n, share_right, share_unparsed):
    """`truth` with the given shares kept and unparsed, the rest drawn from all labels."""
    draw = random.random(len(truth))
    prediction = np.where(draw < share_right, truth, random.integers(n, size=len(truth)))
    return np.where(draw > 1 - share_unparsed, UNPARSED, prediction)


def cases():
    random = np.random.default_rng(20)
    for number in range(60):
        n = 2 + number % 8
        size = 1 + number // 20 if number % 20 == 0 else int(random.integers(2, 401))
        kind = ["random", "unparsed", "absent", "unbalanced", "perfect", "worst"][number % 6]
        truth = random.integers(n, size=size)
        if kind == "random":
            prediction = noisy(random, truth, n, 0.5, 0.0)
        elif kind == "unparsed":
            prediction = noisy(random, truth, n, 0.6, random.choice([0.05, 0.4, 1.0]))
        elif kind == "absent":  # the last label only in the truth, the first only predicted
            truth = random.integers(min(1, n - 1), n, size=size)
            prediction = np.minimum(noisy(random, truth, n, 0.5, 0.1), max(n - 2, 0))
        elif kind == "unbalanced":
            weights = 0.2 ** np.arange(n)
            truth = random.choice(n, size=size, p=weights / weights.sum())
            prediction = noisy(random, truth, n, 0.7, 0.02)
        elif kind == "perfect":
            prediction = truth
        else:
            prediction = (truth + 1) % n
        yield case(f"{number:02}_{kind}", n, truth, prediction)


def main():
    all_cases = list(cases())
    if "--check" in sys.argv:
        assert json.loads(PATH.read_text())["cases"] == all_cases
        return
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in all_cases)
    PATH.write_text(f'{{"scikit_learn":"{sklearn.__version__}","cases":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
