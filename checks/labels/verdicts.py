"""People's verdicts on labels bring the probabilities of being wrong nearer to the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.labels.algebra import find_log_odds, shift_odds
from checks.labels.noise_matrix import Noise, Reading
from checks.labels.noise_model import Array, Ints

SHIFT_SPREAD, SLOPE_SPREAD = 1.5, 0.15  # prior deviations: a stretch is less likely than a shift
SLOPE_MIN = 0.1
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


def heed(noise: Noise, labels: Ints, verdicts: Verdicts, *, seed: int = 0) -> Noise:
    """Return the noise as people's verdicts correct it; the same where there are none.

    Each reading's probabilities are shifted and stretched, on the scale of log odds, to fit the
    verdicts (Platt 1999, with a prior on no change), and so are what is drawn from it, its count
    of pairs, and what it says of other labels. Who was asked may depend on the probability. The
    order of the labels and the noise matrix stay.

    Args:
        noise: of N samples.
        labels: shape (N,), given, 0..K - 1.
        verdicts: on some of them.
        seed: of the draws.
    """
    if not verdicts.places.size:
        return noise
    parts = (noise.reading, noise.floor, noise.ceiling)
    return Noise(*(_correct(part, labels, verdicts, seed) for part in parts))


def _correct(reading: Reading, labels: Ints, verdicts: Verdicts, seed: int) -> Reading:
    """Correct the reading, and each draw from it by itself: they may say very different things."""
    where, rng = verdicts.places, np.random.default_rng([6, seed])
    link, _ = fit_link(reading.wrong[where], verdicts.wrong)
    wrong = shift_odds(reading.wrong, link)
    drawn = np.empty_like(reading.drawn_wrong)
    for place, chances in enumerate(reading.drawn_wrong):
        own, root = fit_link(chances[where], verdicts.wrong)
        own = own + np.linalg.solve(root.T, rng.standard_normal(2))
        drawn[place] = shift_odds(chances, np.maximum(own, [-np.inf, SLOPE_MIN]))
    joint = _scale(reading.joint, labels, reading.wrong, wrong)
    return replace(reading, wrong=wrong, drawn_wrong=drawn, link=link, joint=joint)


def fit_link(
    chances: npt.NDArray[np.floating], wrong: npt.NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Fit a shift and a slope of the log odds to R verdicts by their posterior.

    Args:
        chances: shape (R,), P(wrong) before anybody was asked, 0..1.
        wrong: shape (R,), what people said.

    Returns:
        Shift and slope, (2,), and the lower root of their curvature, (2, 2).

    >>> asked = np.repeat([0.2, 0.8], 50)
    >>> said = np.arange(100) % 2 == 0
    >>> shift_odds(np.array([0.2, 0.8]), fit_link(asked, said)[0]).round(1).tolist()
    [0.4, 0.6]
    """
    odds = find_log_odds(chances)
    inputs = np.column_stack([np.ones(odds.size), odds])
    start, pull = np.array([0.0, 1.0]), np.diag([SHIFT_SPREAD**-2.0, SLOPE_SPREAD**-2.0])
    at, curvature = start, pull
    for _ in range(STEPS):  # Newton's steps: the posterior is log-concave
        chance = 1 / (1 + np.exp(-inputs @ at))
        gradient = inputs.T @ (chance - wrong) + pull @ (at - start)
        curvature = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + pull
        step = np.linalg.solve(curvature, gradient)
        longest = float(np.abs(step).max())
        at = at - step / max(1.0, longest)
        if longest < CLOSE:
            break
    return np.maximum(at, [-np.inf, SLOPE_MIN]), np.linalg.cholesky(curvature)


def _scale(joint: Array, labels: Ints, before: Array, after: Array) -> Array:
    """Give each column of the joint, those of one given label, as many wrong ones as now."""
    classes = len(joint)
    old, new = (np.bincount(labels, part, classes) for part in (before, after))
    scaled = joint * np.divide(new, old, out=np.ones(classes), where=old > 0)
    np.fill_diagonal(scaled, 0.0)
    return scaled + np.diag(joint.sum(axis=0) - scaled.sum(axis=0))
