"""Reference calibration and intervals of scores by scikit-learn, numpy and scipy (versions in ../requirements.txt).

The expected calibration error is the weighted mean of the distances that scikit-learn's `calibration_curve` shows
between its bins. Intervals are `scipy.stats.bootstrap` over whole dialogues of scikit-learn's scores.

`make.py` writes cases.json; `make.py --check` compares with it.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score, log_loss

PATH = Path(__file__).resolve().parent / "cases.json"
UNPARSED = -1


def answers(random, count, labels, kind):
    """Log-probabilities, true labels and answers."""
    scores = random.normal(0, {"vague": 0.3, "sure": 6, "some": 1.5}[kind], (count, labels)) - 2
    truth = random.integers(0, labels, count)
    right = random.random(count) < 0.5
    truth[right] = scores.argmax(axis=1)[right]
    predicted = scores.argmax(axis=1)
    own = random.random(count) < 0.1  # an answer in the model's own words may be another label
    predicted[own] = random.integers(0, labels, own.sum())
    return scores, truth, predicted


def calibrations(random):
    shapes = [(1, 2), (2, 3), (40, 2), (200, 7), (500, 4), (1000, 7), (77, 6), (300, 7)]
    for number, (count, labels) in enumerate(shapes):
        for kind in ["vague", "sure", "some"]:
            bins = [10, 15, 4, 1][number % 4]
            scores, truth, predicted = answers(random, count, labels, kind)
            scores = np.round(scores, 6)
            odds = np.exp(scores - scores.max(axis=1, keepdims=True))
            probabilities = odds / odds.sum(axis=1, keepdims=True)
            confidence = probabilities[np.arange(count), predicted]
            right = (predicted == truth).astype(int)
            share, mean = calibration_curve(right, confidence, n_bins=bins)
            place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)
            sizes = np.bincount(place, minlength=bins)
            apart = np.abs(share - mean)
            yield {
                "bins": bins,
                "scores": scores.tolist(),
                "truth": truth.tolist(),
                "predicted": predicted.tolist(),
                "sizes": sizes.tolist(),
                "confidence": mean.tolist(),
                "accuracy": share.tolist(),
                "ece": float(np.sum(apart * sizes[sizes > 0]) / count),
                "mce": float(apart.max()),
                "brier": float(
                    brier_score_loss(truth, probabilities, labels=range(labels), scale_by_half=False)
                ),
                "log_loss": float(log_loss(truth, probabilities, labels=range(labels))),
            }


def intervals(random):
    for dialogues, labels, level in [(2, 2, 0.95), (8, 3, 0.9), (30, 7, 0.95), (60, 4, 0.95), (90, 7, 0.99)]:
        sizes = random.integers(1, 14, dialogues)
        truth = [random.choice(labels, size, p=weights(labels)).tolist() for size in sizes]
        keep = [[random.random() < 0.6 for _ in one] for one in truth]
        drawn = [random.integers(UNPARSED, labels, size).tolist() for size in sizes]
        given = [[t if k else d for t, k, d in zip(*one)] for one in zip(truth, keep, drawn)]

        def scores(chosen, truth=truth, given=given, labels=labels):
            one = np.concatenate([truth[at] for at in chosen])
            other = np.concatenate([given[at] for at in chosen])
            terms = {"labels": range(labels), "zero_division": 0}
            headline = [f1_score(one, other, average=kind, **terms) for kind in ("weighted", "macro")]
            by_label = f1_score(one, other, average=None, **terms)
            return np.array([*headline, accuracy_score(one, other), *by_label])

        def statistic(chosen, axis):
            assert axis == -1
            flat = chosen.reshape(-1, chosen.shape[-1])
            found = np.array([scores(row) for row in flat]).T
            return found.reshape(-1, *chosen.shape[:-1])

        resampled = stats.bootstrap(
            (np.arange(dialogues),),
            statistic,
            n_resamples=3000,
            confidence_level=level,
            method="percentile",
            vectorized=True,
            rng=7,
        )
        yield {
            "labels": labels,
            "level": level,
            "truth": truth,
            "predicted": given,
            "scores": scores(range(dialogues)).tolist(),
            "low": resampled.confidence_interval.low.tolist(),
            "high": resampled.confidence_interval.high.tolist(),
            "error": resampled.standard_error.tolist(),
        }


def weights(labels):
    share = 0.6 ** np.arange(labels)
    return share / share.sum()


def everything():
    warnings.simplefilter("ignore")
    return {
        "calibration": list(calibrations(np.random.default_rng(1))),
        "intervals": list(intervals(np.random.default_rng(2))),
    }


def main():
    made = everything()
    if "--check" in sys.argv:
        assert json.loads(PATH.read_text()) == json.loads(json.dumps(made))
        return
    parts = []
    for name, cases in made.items():
        lines = ",\n".join(json.dumps(case, separators=(",", ":"), allow_nan=False) for case in cases)
        parts.append(f'"{name}":[\n{lines}\n]')
    PATH.write_text("{" + ",\n".join(parts) + "}\n")


if __name__ == "__main__":
    main()
