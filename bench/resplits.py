"""How often the interval over divisions of a small set holds the truth, and the plain t does.

Each of 2,000 small sets, drawn from one population, is divided ten times (70 % train, 10 %
validation, 20 % test); a ridge is trained on raw rows and on cleaned ones, and the accuracies'
differences over the divisions give both intervals. The truth is the mean difference of 4,000 other
sets. Populations: two made clouds, and the 32,561 rows of adult; 15 % of the labels are wrong and
cleaning drops them, or nothing differs but which half of the rows is trained on. Run it as
`python -m bench.resplits --json`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.label_tables import encode, load_adult
from bench.record import Figure, record, show
from training import statistics as st

Floats = NDArray[np.float64]
Population = tuple[Floats, Floats]  # rows (P, D), classes -1 and 1 (P,)
SETS, OTHERS, TIMES, ROWS = 2_000, 4_000, 10, 200
TRAIN, TEST, FLIPPED, RIDGE = 140, 40, 0.15, 5.0
TARGET = 93.0


def make_clouds(rng: np.random.Generator, rows: int = 32_561) -> Population:
    """Return two overlapping clouds in eight numbers, three of which tell the class."""
    classes = rng.choice([-1.0, 1.0], rows)
    numbers = rng.normal(0, 1, (rows, 8))
    numbers[:, :3] += 0.5 * classes[:, None]
    return np.column_stack([numbers, np.ones(rows)]), classes


def read_adult() -> Population:
    """Return the numbers of adult, as networks read them, and whether the income is high."""
    frame, high = load_adult()
    numbers = encode(frame, high).numbers
    assert numbers is not None
    return np.column_stack([numbers, np.ones(len(high))]).astype(np.float64), 2.0 * high - 1


def drop_wrong(wrong: NDArray[np.bool_], _rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Weights of the rows in the cleaned arm and in raw."""
    return (~wrong).astype(np.float64), np.ones(wrong.size)


def halve(wrong: NDArray[np.bool_], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Weights of two arms that differ by chance alone, in every division alike."""
    half = rng.random(wrong.size) < 0.5  # noqa: PLR2004 - a fair coin
    return half.astype(np.float64), (~half).astype(np.float64)


Arms = Callable[[NDArray[np.bool_], np.random.Generator], tuple[Floats, Floats]]


def divide(population: Population, arms: Arms, rng: np.random.Generator, times: int) -> Floats:
    """Return the differences of both arms' test accuracy over divisions of one set, (times,)."""
    at = rng.integers(0, len(population[1]), ROWS)
    numbers, classes = population[0][at], population[1][at]
    wrong = rng.random(ROWS) < FLIPPED
    said, weights = np.where(wrong, -classes, classes), arms(wrong, rng)
    gains = np.empty(times)
    for time in range(times):
        order = rng.permutation(ROWS)
        test, train = order[:TEST], order[-TRAIN:]
        one, other = (
            np.sign(numbers[test] @ _fit(numbers[train], said[train], weight[train]))
            for weight in weights
        )
        gains[time] = (one == said[test]).mean() - (other == said[test]).mean()
    return gains


def _fit(numbers: Floats, said: Floats, weights: Floats) -> Floats:
    weighted = numbers * weights[:, None]
    gram = weighted.T @ numbers + RIDGE * np.eye(numbers.shape[1])
    return np.linalg.solve(gram, weighted.T @ said)


def cover(population: Population, arms: Arms, seed: int) -> dict[str, int]:
    """Return how many of the sets' intervals hold the truth, by interval."""
    rng = np.random.default_rng(seed)
    truth = float(np.mean([divide(population, arms, rng, 1)[0] for _ in range(OTHERS)]))
    truth = 0.0 if arms is halve else truth
    held = {"over divisions": 0, "plain t": 0}
    for _ in range(SETS):
        gains, grain = divide(population, arms, rng, TIMES), 1 / TEST
        told = {
            "over divisions": st.resplit_t(gains, TEST, TRAIN, grain=grain),
            "plain t": st.paired_t(gains, np.zeros(TIMES), grain=grain),
        }
        for name, one in told.items():
            held[name] += one.low <= truth <= one.high
    return held


def _measure() -> Iterator[tuple[str, Figure]]:
    populations = {"made": make_clouds(np.random.default_rng(0)), "adult": read_adult()}
    ways: dict[str, Arms] = {"wrong labels dropped": drop_wrong, "nothing but chance": halve}
    for seed, ((where, population), (what, arms)) in enumerate(
        product(populations.items(), ways.items())
    ):
        for interval, count in cover(population, arms, seed).items():
            low, high = stats.binomtest(count, SETS).proportion_ci(method="wilson")
            target = TARGET if interval == "over divisions" else None
            name = f"coverage, {where}, {what}, {interval}"
            yield name, Figure(round(100 * count / SETS, 2), target, "higher", SETS,
                               (round(100 * low, 2), round(100 * high, 2)), "%")  # fmt: skip


if __name__ == "__main__":
    show(record("resplits", dict(_measure())))
