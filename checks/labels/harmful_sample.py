"""Train samples by what they are worth to their neighbours, and those that hurt most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.labels.knn_shapley import Floats, Ints, Worth, value_neighbours
from checks.metrics.label_shares import read_vectors
from checks.metrics.vectors import find_directions, stack

TRAIN_MIN, TEST_MIN = 40, 40
FOLDS = 5
TOLD = 10
DISTANCES_MAX = 2e8  # sorted at most, some 15 s: of a large train split fewer samples are asked
DIGITS = 9
FOUND = {"sample_id": pl.String, "value": pl.Float64, "threshold": pl.Float64,
         "evidence": pl.String}  # fmt: skip


def _example(*, wrong: bool) -> SetExample:
    """Two far groups of 100 in train and 60 in validation; one in the first bears another label."""
    ids = [f"{at:032x}-0" for at in range(320)]
    side = np.arange(320) % 2
    turn = np.arange(320) * 2.399963
    points = np.column_stack([10 * side + np.cos(turn), np.sin(turn)])
    label = ["ab"[one] for one in side]
    if wrong:
        points[0] = 0.0
        label[0] = "b"
    tables: dict[str, dict[str, list[object]]] = {
        "samples": {"sample_id": list(ids), "split": [*["train"] * 200, *["val"] * 120],
                    "label": list(label)},
        "features": {"sample_id": list(ids), "features": points.tolist()},
    }  # fmt: skip
    return SetExample(tables, frozenset(ids[:1]) if wrong else frozenset())


@set_check(
    needs=("samples", "features"),
    dimension="incorrect",
    severity="info",
    action="review",
    score="shapley_value",
    relative=True,
    z_min=4.0,
    neighbour_count=10,
    test_count=2000,
    seed=0,
    examples=(_example(wrong=True), _example(wrong=False)),
)
def harmful_sample(
    tables: Mapping[str, pl.LazyFrame], *, z_min: float, neighbour_count: int, test_count: int,
    seed: int,
) -> Judged:  # fmt: skip
    """Flag the ten train samples that hurt their neighbours most, where that is beyond chance.

    Every labelled train sample gets `shapley_value`, its exact share in how many of the
    `neighbour_count` nearest train samples bear the label of a validation sample, -1..1, in a
    mean over `test_count` of them (above 100,000 train samples over fewer: at most 2e8 distances
    are sorted). Without validation, each fifth of train is asked about by the rest. A sample is
    flagged if its value is one of the ten lowest, below 0, and at least `z_min` standard errors so.
    Neighbours are those by the cosine of half-whitened features.

    A sample that hurts need not be wrong: where classes overlap, a right one stands among others
    of another label. Look at it; `unlikely_label` says what is wrong with a known precision.

    Why: ten samples that lower the accuracy on validation tell more of a set than their count.
    Source: Jia et al. 2019, arXiv 1908.08619, theorem 1: exact, in closed form. OpenDataVal
    (2306.10577) finds no method of valuing data that is best at all tasks; this one is cheap.
    """
    frame = read_vectors(tables)
    train = np.flatnonzero(frame["split"].to_numpy() == "train").astype(np.int64)
    samples = tables["samples"].select("sample_id").sort("sample_id").collect()
    if train.size < TRAIN_MIN or frame["label"].n_unique() < 2:  # noqa: PLR2004 - a choice
        scores = samples.with_columns(shapley_value=pl.lit(None, pl.Float64))
        fact = {"not_judged": f"{train.size} labelled train samples with features"}
        return Judged(pl.DataFrame(schema=FOUND), scores, fact)
    labels = frame["label"].rank("dense").cast(pl.Int64).to_numpy() - 1
    points = find_directions(stack(frame["features"]), train, seed)
    held = np.flatnonzero(frame["split"].to_numpy() == "val").astype(np.int64)
    draw = np.random.default_rng(seed)
    test_count = max(FOLDS, min(test_count, int(DISTANCES_MAX / train.size)))
    if held.size >= TEST_MIN:
        rounds = [(train, np.sort(draw.permutation(held)[:test_count]))]
    else:
        rounds = _fold(train, test_count, draw)
    worth, tests, right = _add_up(points, labels, rounds, neighbour_count)
    named = "validation" if held.size >= TEST_MIN else "fifths of train"
    table = _tabulate(frame, worth, tests).filter("valued")
    scores = samples.join(
        table.select("sample_id", shapley_value="value"), on="sample_id", how="left",
        maintain_order="left",
    )  # fmt: skip
    findings = _tell(table, named, neighbour_count, z_min)
    facts = {"asked_about": named, "samples_asked_about": sum(t.size for _, t in rounds),
             "neighbours_right_frac": round(right, 4),
             "below_zero_frac": round(int((table["value"] < 0).sum()) / max(table.height, 1), 4),
             "hurt_most": _lay(table)}  # fmt: skip
    return Judged(findings, scores, facts)


def _fold(train: Ints, test_count: int, draw: np.random.Generator) -> list[tuple[Ints, Ints]]:
    """Each fifth of train, or what may be asked about of it, beside all the others."""
    mixed = draw.permutation(train)
    folds = [mixed[at::FOLDS] for at in range(FOLDS)]
    most = max(1, test_count // FOLDS)
    return [(np.setdiff1d(train, fold), np.sort(fold[:most])) for fold in folds]


def _add_up(
    points: Floats, labels: Ints, rounds: list[tuple[Ints, Ints]], neighbour_count: int
) -> tuple[Worth, Ints, float]:
    """The worth of every sample over the rounds, by how many tests it was judged, the utility."""
    count = len(points)
    whole = Worth(np.zeros(count), np.zeros(count), np.zeros(count, np.int64),
                  np.zeros(count, np.int64), 0.0)  # fmt: skip
    tests, utility, asked = np.zeros(count, np.int64), 0.0, 0
    for train, test in rounds:
        worth = value_neighbours(points[train], labels[train], points[test], labels[test],
                                 neighbour_count)  # fmt: skip
        for part in fields(Worth)[:-1]:
            getattr(whole, part.name)[train] += getattr(worth, part.name)
        tests[train] += test.size
        utility, asked = utility + worth.utility, asked + test.size
    return whole, tests, utility / asked


def _tabulate(frame: pl.DataFrame, worth: Worth, tests: Ints) -> pl.DataFrame:
    """sample_id, label, valued, value, error (standard error of the mean), asked and against."""
    times = np.maximum(tests, 1)
    mean: npt.NDArray[np.float64] = worth.total / times
    spread = np.maximum(worth.square / times - mean * mean, 0.0)
    return frame.select("sample_id", "label").with_columns(
        valued=pl.Series(tests > 0), value=pl.Series(mean.round(DIGITS) + 0.0),
        error=pl.Series(np.sqrt(spread / times).round(DIGITS)), asked=pl.Series(worth.asked),
        against=pl.Series(worth.against), tests=pl.Series(tests),
    )  # fmt: skip


def _rank(table: pl.DataFrame) -> pl.DataFrame:
    return table.sort("value", "sample_id").head(TOLD).filter(pl.col("value") < 0)


def _tell(table: pl.DataFrame, named: str, neighbour_count: int, z_min: float) -> pl.DataFrame:
    sure = _rank(table).filter(-pl.col("value") >= z_min * pl.col("error"))
    evidence = pl.format(
        "lowers the neighbours' accuracy on {} by {}: labelled '{}', it is among the {} nearest"
        " of {} of {} samples, and {} of these bear another label",
        pl.lit(named), (-pl.col("value")).round_sig_figs(3), "label", pl.lit(neighbour_count),
        "asked", "tests", "against",
    )  # fmt: skip
    return sure.select("sample_id", "value", threshold=pl.lit(0.0), evidence=evidence).sort(
        "sample_id"
    )


def _lay(table: pl.DataFrame) -> list[dict[str, object]]:
    return _rank(table).select("sample_id", "label", "value", "asked", "against").to_dicts()
