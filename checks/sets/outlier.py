"""Samples that lie far from all others in feature space."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.metrics.similarity import draw_references, nearest
from checks.metrics.vectors import stack

Floats = npt.NDArray[np.float32]
AXES_MAX = 256
BLOCK = 4096
SAMPLES_MIN = 20
SIGMA_MIN = 0.05
RARE_FRAC = 0.01
FLAT = 2e-3  # a distance of equal points in float32, a feature, in deviations
MAD_TO_SIGMA = 1.4826
FOUND = {"sample_id": pl.String, "value": pl.Float64, "threshold": pl.Float64,
         "evidence": pl.String}  # fmt: skip


def _example(last: float) -> dict[str, dict[str, list[object]]]:
    """Forty points on an uneven circle, the last of them at radius `last`."""
    ids: list[object] = [f"{at:032x}-0" for at in range(40)]
    angle = np.arange(40) * 2.399963  # the golden angle spreads points evenly
    radius = np.append(np.linspace(0.9, 1.1, 39), last)
    points = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]).tolist()
    return {"samples": {"sample_id": ids, "split": ["train"] * 40},
            "features": {"sample_id": ids, "features": points}}  # fmt: skip


@set_check(
    needs=("samples", "features"),
    dimension="low_quality",
    severity="info",
    action="review",
    score="outlier_score",
    relative=True,
    z_min=5.0,
    neighbour_count=10,
    reference_count=10_000,
    seed=0,
    examples=(
        SetExample(_example(30.0), frozenset({f"{39:032x}-0"})),
        SetExample(_example(1.0), frozenset()),
    ),
)
def outlier(
    tables: Mapping[str, pl.LazyFrame], *, z_min: float, neighbour_count: int,
    reference_count: int, seed: int,
) -> Judged:  # fmt: skip
    """Flag samples whose nearest train samples are `z_min` deviations farther than usual.

    Every sample gets `outlier_score`: the robust z, within train, of the logarithm of its mean
    distance to the `neighbour_count` nearest train samples. What is usual is learnt from train
    samples that do not lie on as many equal ones. The finding of a validation or test sample says
    that train holds nothing like it. Of sound sets, normal or heavy-tailed in few features, up to
    a hundredth is flagged; of others next to none.

    Why: foreign pictures and broken rows lie far out; but so do rare, right ones, which is why
    they are shown and never dropped.
    Source: kNN distance (Ramaswamy et al. 2000); Albert et al. 2024, arXiv 2407.05528: dropping
    all that is out of distribution did not raise accuracy.
    """
    samples = tables["samples"].select("sample_id", "split")
    features = tables["features"].select("sample_id", "features").drop_nulls("features")
    frame = samples.join(features, on="sample_id").sort("sample_id").collect()
    train = np.flatnonzero(frame["split"].to_numpy() == "train")
    if train.size < SAMPLES_MIN:
        found = frame.select("sample_id").head(0).with_columns(outlier_score=pl.lit(0.0))
        fact = {"not_judged": f"{train.size} train samples"}
        return Judged(pl.DataFrame(schema=FOUND), _spread(samples, found), fact)
    references, own = draw_references(train, reference_count, frame.height, seed)
    points = _project(frame, references, seed)
    near = min(neighbour_count, references.size - 1)
    away = nearest(points, points[references], own, near)[1].mean(axis=1, dtype=np.float64)
    scores = _score(away, train, FLAT * points.shape[1] ** 0.5)
    found = frame.select("sample_id", "split").with_columns(outlier_score=pl.Series(scores))
    told = _spread(samples, found.drop("split"))
    return Judged(_tell(found, z_min), told, _count(found, z_min))


def _project(frame: pl.DataFrame, references: npt.NDArray[np.int64], seed: int) -> Floats:
    """Standardise by the references; above 256 columns a random projection keeps distances."""
    matrix = stack(frame["features"])
    known = _finite(matrix[references])
    centre, spread = known.mean(axis=0), known.std(axis=0)
    scale = np.where(spread > 0, spread, np.float32(1))
    width = matrix.shape[1]
    axes = np.eye(width, dtype=np.float32)
    if width > AXES_MAX:
        drawn = np.random.default_rng(seed).standard_normal((width, AXES_MAX), np.float32)
        axes = drawn / np.float32(np.sqrt(AXES_MAX))
    points = np.empty((len(matrix), axes.shape[1]), np.float32)
    for start in range(0, len(matrix), BLOCK):
        block = _finite(matrix[start : start + BLOCK])
        points[start : start + BLOCK] = ((block - centre) / scale) @ axes
    return points


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.float32(0))


def _score(
    away: npt.NDArray[np.float64], train: npt.NDArray[np.int64], flat: float
) -> npt.NDArray[np.float64]:
    """The robust z of each distance; below `flat` it is rounding, and says nothing of others."""
    apart = away[train][away[train] > flat]
    if apart.size < SAMPLES_MIN:  # nearly all have equals: a hundredth without any stands out
        if apart.size > RARE_FRAC * train.size:
            return np.zeros(away.size)
        apart = np.full(1, flat)
    usual = float(np.median(apart))
    logs = np.log(np.maximum(away, flat) / usual)
    centre = np.median(np.log(apart / usual))
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(np.log(apart / usual) - centre)))
    scores: npt.NDArray[np.float64] = ((logs - centre) / max(sigma, SIGMA_MIN)).round(6)
    return scores


def _tell(found: pl.DataFrame, z_min: float) -> pl.DataFrame:
    flagged = found.filter(pl.col("outlier_score") >= z_min)
    own = pl.format(
        "its nearest train samples are {} deviations farther away than is usual",
        pl.col("outlier_score").round(1),
    )
    foreign = pl.format(
        "nothing in train is like this {} sample: the nearest ones are {} deviations farther away"
        " than train samples are from each other", "split", pl.col("outlier_score").round(1),
    )  # fmt: skip
    evidence = pl.when(pl.col("split") == "train").then(own).otherwise(foreign)
    return flagged.select(
        "sample_id", value="outlier_score", threshold=pl.lit(z_min), evidence=evidence
    )


def _count(found: pl.DataFrame, z_min: float) -> dict[str, object]:
    """The share of each split that is flagged: one that is foreign as a whole stands out."""
    share = (pl.col("outlier_score") >= z_min).mean().round(6)
    shares = found.group_by("split").agg(share=share).sort("split")
    return {f"outliers_{split}_frac": part for split, part in shares.iter_rows()}


def _spread(samples: pl.LazyFrame, found: pl.DataFrame) -> pl.DataFrame:
    """A row for every sample, null where it has no features."""
    every = samples.select("sample_id").sort("sample_id").collect()
    return every.join(found, on="sample_id", how="left", maintain_order="left")
