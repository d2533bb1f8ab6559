"""People's verdicts on labels bring the probabilities of being wrong nearer to the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.labels.algebra import find_log_odds
from checks.labels.noise_matrix import Noise, Reading
from checks.labels.noise_model import Array, Ints

START = np.array([0.0, 1.0, 0.0])  # shift, slope, part of the rank: nothing is changed
SPREADS = np.array([1.0, 0.15, 0.6])  # of the prior: a shift is likelier than a stretch
LARGE = 1e3
LEAST = np.array([-LARGE, 0.1, 0.0])  # more suspicious is never less likely wrong
RANK_LEAST, SURE = 1e-3, 6.0  # nobody is surer than 400 to 1 that a label is wrong
STEPS, CLOSE = 50, 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What people said for certain: places among the N samples judged, (R,), and wrong, (R,)."""

    places: Ints
    wrong: npt.NDArray[np.bool_]

    def tell(self, chances: Array) -> dict[str, object]:
        """Return the fact `reviews`: how many were heard, wrong, and expected to be wrong.

        chances: shape (N,), P(wrong) before anybody was heard.
        """
        if not self.places.size:
            return {}
        expected = round(float(chances[self.places].sum()), 1)
        return {"reviews": {"heard": self.places.size, "wrong": int(self.wrong.sum()),
                            "expected": expected}}  # fmt: skip


def read_verdicts(tables: Mapping[str, pl.LazyFrame], judged: pl.DataFrame) -> Verdicts:
    """Return the sure verdicts on the samples judged; none where there is no table reviews.

    Args:
        tables: reviews (tables.Reviews) where people have been heard.
        judged: sample_id, shape (N,), in the order of the noise model.
    """
    if "reviews" not in tables:
        return Verdicts(np.zeros(0, np.int64), np.zeros(0, np.bool_))
    said = tables["reviews"].filter(pl.col("verdict").is_in(["right", "wrong"]))
    told = said.select("sample_id", "verdict").collect()
    place = judged.select("sample_id").with_row_index("place")
    known = place.join(told, on="sample_id").sort("place")
    wrong = (known["verdict"] == "wrong").to_numpy()
    return Verdicts(known["place"].to_numpy().astype(np.int64), wrong)


def heed(
    noise: Noise, labels: Ints, suspicion: Array, verdicts: Verdicts, *, seed: int = 0
) -> Noise:
    """Return the noise as people's verdicts correct it; the same where there are none.

    Each reading's probabilities are shifted and stretched, on the scale of log odds, and raised
    with the rank, to fit the verdicts (Platt 1999, with a prior on no change), and so are what is
    drawn from it and its count of pairs. Who was asked may depend on probability and rank: where
    both disagree, as in look-alikes, what was found at the top would else be believed of all. The
    noise matrix stays.

    Args:
        noise: of N samples.
        labels: shape (N,), given, 0..K - 1.
        suspicion: shape (N,), the rank by which people are asked, 0..1.
        verdicts: on some of them.
        seed: of the draws.
    """
    if not verdicts.places.size:
        return noise
    parts = (noise.reading, noise.floor, noise.ceiling)
    return Noise(*(_correct(part, labels, suspicion, verdicts, seed) for part in parts))


def _correct(
    reading: Reading, labels: Ints, suspicion: Array, verdicts: Verdicts, seed: int
) -> Reading:
    """Correct the reading, and each draw from it by itself: they may say very different things."""
    where, rng = verdicts.places, np.random.default_rng([6, seed])
    asked = suspicion[where]
    link, _ = fit_link(reading.wrong[where], asked, verdicts.wrong)
    wrong = apply_link(link, reading.wrong, suspicion)
    drawn = np.empty_like(reading.drawn_wrong)
    for place, chances in enumerate(reading.drawn_wrong):
        own, root = fit_link(chances[where], asked, verdicts.wrong)
        own = np.maximum(own + np.linalg.solve(root.T, rng.standard_normal(LEAST.size)), LEAST)
        drawn[place] = apply_link(own, chances, suspicion)
    joint = _scale(reading.joint, labels, reading.wrong, wrong)
    return replace(reading, wrong=wrong, drawn_wrong=drawn, link=link, joint=joint)


def correct(noise: Noise, chances: Array, suspicion: Array) -> Array:
    """Return P(wrong) of other samples, (M,), as verdicts on those of the noise correct it."""
    link = noise.reading.link
    return chances if link is None else apply_link(link, chances, suspicion)


def fit_link(
    chances: npt.NDArray[np.floating], suspicion: Array, wrong: npt.NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Fit a shift, a slope and a part of the rank to R verdicts by their posterior.

    Args:
        chances: shape (R,), P(wrong) before anybody was asked, 0..1.
        suspicion: shape (R,), rank by which people were asked, 0..1.
        wrong: shape (R,), what people said.

    Returns:
        The link as `apply_link` takes it, (3,), and the lower root of its curvature, (3, 3).

    >>> asked, middle = np.repeat([0.2, 0.8], 50), np.full(100, 0.5)
    >>> link, _ = fit_link(asked, middle, np.arange(100) % 2 == 0)
    >>> apply_link(link, np.array([0.2, 0.8]), middle[:2]).round(1).tolist()
    [0.4, 0.6]
    """
    inputs = _inputs(chances, suspicion)
    free = np.ones(START.size, bool)
    best, curvature = _climb(inputs, wrong, free)
    while (below := best < LEAST).any():  # held at its least, the others fitted again
        free &= ~below
        best, curvature = _climb(inputs, wrong, free)
    root: Array = np.linalg.cholesky(curvature).astype(np.float64)
    return best, root


def _climb(
    inputs: Array, wrong: npt.NDArray[np.bool_], free: npt.NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Newton's steps to the top of the posterior, which is log-concave; held are at their least."""
    at, pull = np.where(free, START, LEAST), np.diag(SPREADS**-2.0)
    curvature = pull
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-inputs @ at))
        gradient = inputs.T @ (chance - wrong) + pull @ (at - START)
        curvature = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + pull
        step = np.zeros(at.size)
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        longest = float(np.abs(step).max())
        at = at - step / max(1.0, longest)
        if longest < CLOSE:
            break
    return at, curvature


def apply_link(link: Array, chances: npt.NDArray[np.floating], suspicion: Array) -> Array:
    """Return probabilities, (N,), corrected by shift, slope and part of the rank, (3,).

    >>> apply_link(START, np.array([0.5, 0.2]), np.array([0.1, 0.9])).round(9).tolist()
    [0.5, 0.2]
    """
    corrected: Array = 1 / (1 + np.exp(-_inputs(chances, suspicion) @ link))
    return corrected


def _inputs(chances: npt.NDArray[np.floating], suspicion: Array) -> Array:
    """A one, the log odds of the chances and of the rank beside each other, (N, 3)."""
    ranked = find_log_odds(np.clip(suspicion, RANK_LEAST, 1 - RANK_LEAST))
    odds = np.minimum(find_log_odds(chances), SURE)
    return np.column_stack([np.ones(len(chances)), odds, ranked])


def _scale(joint: Array, labels: Ints, before: Array, after: Array) -> Array:
    """Give each column of the joint, those of one given label, as many wrong ones as now."""
    classes = len(joint)
    old, new = (np.bincount(labels, part, classes) for part in (before, after))
    scaled = joint * np.divide(new, old, out=np.ones(classes), where=old > 0)
    np.fill_diagonal(scaled, 0.0)
    return scaled + np.diag(joint.sum(axis=0) - scaled.sum(axis=0))
