"""Reference values of Cohen's kappa by scikit-learn (version in cases.json and ../requirements.txt).

`null` is where kappa is not defined: both annotators use one and the same label throughout.

`make.py` writes cases.json; `make.py --check` compares with it.
"""

import json
import math
import sys
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn.metrics import cohen_kappa_score

PATH = Path(__file__).resolve().parent / "cases.json"


def case(labels, first, second):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kappa = float(cohen_kappa_score(first, second, labels=list(range(labels))))
    return {
        "labels": labels,
        "first": [int(label) for label in first],
        "second": [int(label) for label in second],
        "kappa": None if math.isnan(kappa) else kappa,
    }


def cases():
    random = np.random.default_rng(20)
    yield case(3, [1, 1, 1], [1, 1, 1])
    yield case(3, [1, 1, 1], [2, 2, 2])
    yield case(2, [0], [1])
    yield case(4, [0, 1, 2, 3], [0, 1, 2, 3])
    yield case(4, [0, 1, 2, 3], [3, 2, 1, 0])
    for number in range(40):
        labels = 2 + number % 8
        size = int(random.integers(2, 300))
        weights = 0.6 ** np.arange(labels)
        first = random.choice(labels, size=size, p=weights / weights.sum())
        agree = random.random(size) < random.random()
        second = np.where(agree, first, random.integers(labels, size=size))
        yield case(labels, first, second)


def main():
    all_cases = list(cases())
    if "--check" in sys.argv:
        assert json.loads(PATH.read_text())["cases"] == all_cases
        return
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in all_cases)
    PATH.write_text(f'{{"scikit_learn":"{sklearn.__version__}","cases":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
