"""Reference statistics by scipy, statsmodels and scikit-learn (versions in cases.json and ../requirements.txt).

What cannot be known (the spread of one value, a test of differences that do not vary) is null where the libraries
give nan. Random methods of the libraries are exhaustive where that is possible; elsewhere the test's tolerance is
that of sampling.

`make.py` writes cases.json; `make.py --check` compares with it.
"""

import json
import math
import sys
import warnings
from pathlib import Path

import numpy as np
import scipy
import sklearn
import statsmodels
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower, TTestIndPower, TTestPower

PATH = Path(__file__).resolve().parent / "cases.json"
SCORES = ["weighted_f1", "macro_f1", "accuracy"]
UNPARSED = -1


def number(value):
    value = float(value)
    return value if math.isfinite(value) else None


def interval(low, high):
    return None if number(low) is None or number(high) is None else [float(low), float(high)]


def samples(random):
    """Lists of scores of one recipe's seeds."""
    yield [0.5]
    yield [0.61, 0.61, 0.61]
    yield [0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    yield [0.5, 0.6]
    yield [0.70001, 0.70002]
    yield [0.0, 1.0]
    yield [0.0, 0.0, 1.0]
    yield [-0.2, 0.3, 0.1]
    for count in [2, 2, 3, 3, 3, 4, 5, 5, 7, 10, 12, 20, 30, 50, 100]:
        yield list(np.round(random.normal(0.6, random.choice([1e-4, 0.01, 0.1]), count), 6))


def summary(values, level):
    values = np.array(values)
    mean, count = values.mean(), len(values)
    if count == 1:
        return {"mean": mean, "std": None, "t": None, "bootstrap": None}
    if np.all(values == values[0]):  # scipy divides by zero; the limit is a point
        point = [float(values[0])] * 2
        return {"mean": float(values[0]), "std": 0.0, "t": point, "bootstrap": point}
    low, high = stats.t.interval(level, count - 1, mean, stats.sem(values))
    resampled = stats.bootstrap(
        (values,), np.mean, confidence_level=level, method="percentile", n_resamples=50_000, rng=1
    )
    return {
        "mean": mean,
        "std": values.std(ddof=1),
        "t": interval(low, high),
        "bootstrap": interval(*resampled.confidence_interval),
    }


def summaries(random):
    for number_, values in enumerate(samples(random)):
        level = [0.95, 0.95, 0.9, 0.99][number_ % 4]
        yield {"values": values, "level": level, **summary(values, level)}


def pairs(random):
    """Two lists of scores; the same number of either."""
    yield [0.5], [0.6]
    yield [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]
    yield [0.1, 0.2, 0.3], [0.2, 0.3, 0.4]  # by the same, but for rounding errors
    yield [0.5, 0.6], [0.6, 0.65]
    yield [0.5, 0.6], [0.6, 0.5]
    yield [0.5, 0.6, 0.7], [0.7, 0.6, 0.5]
    yield [0.5, 0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5, 0.75]
    yield [0.25, 0.5, 0.25, 0.5, 0.25], [0.5, 0.75, 0.5, 0.25, 0.75]
    for count in [2, 2, 3, 3, 4, 5, 5, 5, 6, 8, 10, 12, 15, 20, 30, 40]:
        shift, noise = random.choice([0, 0.01, 0.1, 3.0]), random.choice([1e-3, 0.01, 0.1])
        # Multiples of a power of 2 differ exactly, so that ties are ties.
        grid = random.choice([2.0**-4, 2.0**-7, 2.0**-20])
        first = random.normal(0.6, 0.05, count)
        second = first + shift + random.normal(0, noise, count)
        yield [list(np.round(side / grid) * grid) for side in (first, second)]


def t_test(result, level):
    if number(result.statistic) is None or number(result.pvalue) is None:
        return None
    low, high = result.confidence_interval(level)
    return {
        "statistic": float(result.statistic),
        "freedom": float(result.df),
        "p": float(result.pvalue),
        "interval": [float(low), float(high)],
    }


def paired(first, second, level):
    differences = np.array(second) - np.array(first)
    if len(first) < 2 or np.ptp(differences) < 1e-15:
        return None
    return t_test(stats.ttest_rel(second, first), level)


def signed_rank(first, second):
    differences = np.array(second) - np.array(first)
    differences = differences[differences != 0]
    if len(differences) == 0:
        return None
    ties = len(set(np.abs(differences))) < len(differences)
    if ties and len(differences) > 13:
        return "too many"
    method = stats.PermutationMethod(n_resamples=np.inf) if ties else "exact"
    result = stats.wilcoxon(differences, method=method)
    return {"statistic": float(result.statistic), "p": float(result.pvalue)}


def tests(random):
    for number_, (first, second) in enumerate(pairs(random)):
        level = [0.95, 0.9][number_ % 2]
        welch = None
        more = list(second) + list(np.array(second)[:1] + 0.125) if number_ % 3 else list(second)
        if len(first) > 1 and len(more) > 1:
            welch = t_test(stats.ttest_ind(more, first, equal_var=False), level)
        yield {
            "first": list(first),
            "second": list(second),
            "more": more,
            "level": level,
            "paired": paired(first, second, level),
            "welch": welch,
            "signed_rank": signed_rank(first, second),
        }


def mcnemars(random):
    counts = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2), (0, 5), (5, 0), (3, 4), (0, 40), (10, 11)]
    counts += [(12, 30), (100, 100), (250, 300), (7, 900), (0, 600), (2000, 2100), (5000, 5001)]
    counts += [(int(a), int(b)) for a, b in random.integers(0, 60, (8, 2))]
    for first, second in counts:
        table = [[5, first], [second, 7]]
        exact = mcnemar(table, exact=True).pvalue if first + second else 1.0
        corrected = mcnemar(table, exact=False, correction=True) if first + second else None
        yield {
            "only_baseline": first,
            "only_other": second,
            "exact_p": float(exact),
            "chi_square": float(corrected.statistic) if corrected else None,
            "chi_square_p": float(corrected.pvalue) if corrected else None,
        }


def holms(random):
    lists = [
        [0.03],
        [1.0, 1.0],
        [0.0, 0.5],
        [0.01, 0.01, 0.01],
        [0.04, 0.03, 0.02, 0.01],
        [1e-300, 1e-12, 0.9],
    ]
    lists += [list(random.random(int(count)) ** 3) for count in random.integers(1, 12, 12)]
    lists += [list(np.round(random.random(int(count)), 1)) for count in random.integers(2, 9, 6)]
    for p in lists:
        yield {
            "p": [float(one) for one in p],
            "corrected": multipletests(p, method="holm")[1].tolist(),
        }


def powers():
    """The smallest detectable difference in standard errors of the difference."""
    for count in [2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 100]:
        for level in [0.95, 0.9]:

            def power(errors, count=count, level=level):
                return TTestPower().power(errors / math.sqrt(count), count, 1 - level)

            yield {
                "freedom": count - 1,
                "level": level,
                "errors": detectable(power, count - 1, level),
            }
    for m, n in [(2, 2), (3, 3), (3, 5), (5, 5), (10, 4), (20, 20)]:

        def power(errors, m=m, n=n):
            return TTestIndPower().power(errors * math.sqrt(1 / m + 1 / n), m, 0.05, ratio=n / m)

        yield {"freedom": m + n - 2, "level": 0.95, "errors": detectable(power, m + n - 2, 0.95)}


def detectable(power, freedom, level):
    """Where the power is 0.8. statsmodels, and so its `solve_power`, is nan where scipy's `nct.cdf` is nan for the
    other tail, whose probability is below 1e-15 there."""
    critical = stats.t.ppf((1 + level) / 2, freedom)

    def excess(errors):
        value = power(errors)
        return (value if np.isfinite(value) else stats.nct.sf(critical, freedom, errors)) - 0.8

    return float(scipy.optimize.brentq(excess, 1e-9, 17, xtol=1e-12))


def normal_powers():
    for level in [0.95, 0.99, 0.999, *np.linspace(0.9, 0.995, 20)]:
        power = NormalIndPower(ddof=0)
        yield {
            "level": float(level),
            "errors": float(power.solve_power(nobs1=1, alpha=1 - level, power=0.8, ratio=0)),
        }


def distributions():
    for freedom in [1, 2, 3, 4.5, 9, 29, 99.7, 1000]:
        for t in [0, 1e-9, 0.3, 1, 2.5, 12, 300]:
            yield {
                "kind": "t_two_sided",
                "at": [t, freedom],
                "value": float(2 * stats.t.sf(t, freedom)),
            }
        for level in [0.5, 0.9, 0.95, 0.99, 0.999]:
            yield {
                "kind": "t_critical",
                "at": [level, freedom],
                "value": float(stats.t.ppf((1 + level) / 2, freedom)),
            }
        for delta in [-2, 0.1, 1, 3.3, 8, 16]:
            for t in [-1.5, 0, 0.7, 2.1, 12]:
                value = float(stats.nct.cdf(t, freedom, delta))
                if math.isfinite(value):  # scipy does not compute them all
                    yield {"kind": "noncentral_t", "at": [t, freedom, delta], "value": value}
    for z in [-8, -3, -1, 0, 0.5, 2, 5]:
        yield {"kind": "normal_cdf", "at": [z], "value": float(stats.norm.cdf(z))}
    for p in [1e-6, 0.025, 0.2, 0.5, 0.8, 0.975, 0.9995]:
        yield {"kind": "normal_quantile", "at": [p], "value": float(stats.norm.ppf(p))}
    for x in [0, 1e-6, 0.5, 1, 3.84, 20, 400]:
        yield {"kind": "chi_square_tail", "at": [x], "value": float(stats.chi2.sf(x, 1))}
    for successes, trials in [
        (0, 1),
        (1, 2),
        (3, 10),
        (10, 10),
        (40, 100),
        (499, 1000),
        (4000, 9000),
    ]:
        value = float(stats.binom.cdf(successes, trials, 0.5))
        yield {"kind": "fair_coin_cdf", "at": [successes, trials], "value": value}


def score(name, truth, prediction, labels):
    """By scikit-learn."""
    if name == "accuracy":
        return accuracy_score(truth, prediction)
    average = name.removesuffix("_f1")
    return f1_score(truth, prediction, average=average, labels=range(labels), zero_division=0)


def quick_score(name, truth, prediction, labels):
    """The same in a hundredth of the time, for thousands of resampled sets."""
    support = np.bincount(truth, minlength=labels)
    predicted = np.bincount(prediction[prediction != UNPARSED], minlength=labels)
    right = np.bincount(truth[truth == prediction], minlength=labels)
    f1 = 2 * right / np.maximum(support + predicted, 1)
    means = {
        "weighted_f1": (f1 * support).sum() / len(truth),
        "macro_f1": f1.mean(),
        "accuracy": right.sum() / len(truth),
    }
    return means[name]


class Answers:
    """Two runs of each of several seeds over dialogues; dialogue i of the other run is number i + count."""

    def __init__(self, random, count, labels, runs, noise):
        sizes = random.integers(1, 7, count)
        self.labels, self.count = labels, count
        self.truth = [random.integers(labels, size=size) for size in sizes]
        self.baseline = [self.noisy(random, 0.5) for _ in range(runs)]
        self.other = [self.noisy(random, 0.5 + noise) for _ in range(runs)]

    def noisy(self, random, right):
        def answer(truth):
            guess = random.integers(UNPARSED, self.labels, size=len(truth))
            return np.where(random.random(len(truth)) < right, truth, guess)

        return [answer(truth) for truth in self.truth]

    def score(self, name, run, dialogues, by=quick_score):
        truth = np.concatenate([self.truth[int(at) % self.count] for at in dialogues])
        parts = [self.baseline[run], self.other[run]]
        answers = np.concatenate(
            [parts[int(at) // self.count][int(at) % self.count] for at in dialogues]
        )
        return by(name, truth, answers, self.labels)

    def difference(self, name, others, baselines):
        """The mean over the runs of the score of `others` less that of `baselines`."""
        runs = range(len(self.baseline))
        return float(
            np.mean(
                [self.score(name, run, others) - self.score(name, run, baselines) for run in runs]
            )
        )

    def written(self):
        sides = {"baseline": self.baseline, "other": self.other}
        runs = {
            name: [[part.tolist() for part in run] for run in side] for name, side in sides.items()
        }
        return {"labels": self.labels, "truth": [part.tolist() for part in self.truth], **runs}


def answers(random, number_):
    kind = ["small", "small", "seeds", "large"][number_ % 4]
    count = int(random.integers(2, 8)) if kind != "large" else int(random.integers(15, 26))
    runs = 1 if kind != "seeds" else int(random.integers(2, 4))
    made = Answers(random, count, 2 + number_ % 3, runs, float(random.choice([0.0, 0.1, 0.4])))
    if number_ in (5, 11):  # the same answers
        made.other = made.baseline
    if number_ in (9, 13):  # the same answers to some dialogues
        made.other = [
            run[: count // 2] + other[count // 2 :] for run, other in zip(made.baseline, made.other)
        ]
    if number_ == 15:  # a large difference
        made.other = [[np.array(part) for part in made.truth]]
    return made


def resamplings(random):
    for number_ in range(28):
        made, name = answers(random, number_), SCORES[number_ % 3]
        first = np.arange(made.count)
        second = first + made.count

        def statistic(others, baselines, made=made, name=name):
            return made.difference(name, others, baselines)

        exhaustive = made.count <= 8
        randomised = stats.permutation_test(
            (second, first),
            statistic,
            permutation_type="samples",
            n_resamples=np.inf if exhaustive else 4_000,
            rng=1,
        )
        case = {
            **made.written(),
            "score": name,
            "scores": [
                [made.score(name, run, side, by=score) for run in range(len(made.baseline))]
                for side in (first, second)
            ],
            "difference": made.difference(name, second, first),
            "exact": exhaustive,
            "p": float(randomised.pvalue),
        }
        if made.count > 1:
            resampled = stats.bootstrap(
                (first,),
                lambda drawn, made=made, name=name: made.difference(
                    name, drawn + made.count, drawn
                ),
                vectorized=False,
                method="percentile",
                n_resamples=3_000,
                rng=2,
            )
            distribution = resampled.bootstrap_distribution
            case["bootstrap"] = {
                "interval": interval(*resampled.confidence_interval),
                "error": float(resampled.standard_error),
                "at_most_zero": float(np.mean(distribution <= 1e-12)),
                "at_least_zero": float(np.mean(distribution >= -1e-12)),
            }
        mean = np.mean(case["scores"], axis=1)
        assert abs(mean[1] - mean[0] - case["difference"]) < 1e-12
        yield case


def everything():
    warnings.simplefilter("ignore")
    return {
        "summaries": list(summaries(np.random.default_rng(1))),
        "tests": list(tests(np.random.default_rng(2))),
        "mcnemar": list(mcnemars(np.random.default_rng(3))),
        "holm": list(holms(np.random.default_rng(4))),
        "power": list(powers()),
        "normal_power": list(normal_powers()),
        "distributions": list(distributions()),
        "resampling": list(resamplings(np.random.default_rng(5))),
    }


def main():
    made = everything()
    if "--check" in sys.argv:
        stored = json.loads(PATH.read_text())
        assert {name: stored[name] for name in made} == json.loads(json.dumps(made))
        return
    versions = {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__}
    versions["scikit_learn"] = sklearn.__version__
    parts = [f'"versions":{json.dumps(versions)}']
    for name, cases in made.items():
        lines = ",\n".join(
            json.dumps(case, separators=(",", ":"), allow_nan=False) for case in cases
        )
        parts.append(f'"{name}":[\n{lines}\n]')
    PATH.write_text("{" + ",\n".join(parts) + "}\n")


if __name__ == "__main__":
    main()
