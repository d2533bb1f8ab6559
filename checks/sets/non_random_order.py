"""Samples that stand in an order: whoever reads a part, or reads in turn, sees another set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.core.corrections import adjust_holm
from checks.core.words import SPLITS
from checks.metrics.label_shares import read_labelled
from checks.metrics.order import Order, measure_drift, measure_label_drift, measure_runs
from checks.metrics.vectors import find_directions, stack
from checks.sets.drawn import list_samples

FOUND = {"sample_id": pl.String, "value": pl.Float64, "threshold": pl.Float64,
         "evidence": pl.String}  # fmt: skip
AXES = 8
DIGITS = 4
SAID = {
    "labels side by side": "equal labels stand side by side",
    "labels drift": "labels change from beginning to end",
    "features drift": "features drift from beginning to end",
}


def _example(labels: str, *, ordered: bool) -> SetExample:
    """Rows of one file in this order."""
    samples = list_samples(list(labels))
    flagged = frozenset({str(samples["sample_id"][0])}) if ordered else frozenset()
    return SetExample({"samples": samples}, flagged)


@set_check(
    needs=("samples", "features?"),
    dimension="low_quality",
    severity="info",
    action="keep",
    relative=True,
    effect_min=0.1,
    p_max=0.001,
    rows_min=100,
    seed=0,
    examples=(
        _example("a" * 90 + "b" * 70, ordered=True),
        _example("aaaaabbbbb" * 20, ordered=True),
        _example("".join("abc"[at * at % 7 % 3] for at in range(210)), ordered=False),
    ),
)
def non_random_order(
    tables: Mapping[str, pl.LazyFrame], *, effect_min: float, p_max: float, rows_min: int, seed: int
) -> Judged:
    """Flag a split whose rows stand in an order, by label or by what they hold.

    Three signs are looked for along the rows of the files of a table (or of a table of images):
    equal labels side by side, labels whose place in the file differs, and features that drift. A
    sign counts if its effect, 0 to 1, is at least `effect_min` and its chance in a random order at
    most `p_max` over all signs of all splits (Holm). One finding for each split tells the
    strongest; it shows the first row. Files of a single sample, as pictures in a folder, have no
    order. Splits with fewer than `rows_min` rows are not judged.

    Shuffle before you train: a reader that goes through the file in turn sees one class after the
    other, and its first or last part is no sample of it. Gristmill's own shards are read shuffled.

    Why: a split taken from the head, or batches read in turn, teach the order.
    Source: cleanlab Datalab 2.9.0 (non_iid) asks whether neighbours stand close, by 25
    permutations, and flags a sample; here the chance is exact in the limit, with an effect size.
    """
    places = _place(tables)
    signs = [
        (split, frame["sample_id"][0], one)
        for split in SPLITS
        if (frame := places.filter(pl.col("split") == split)).height >= rows_min
        for one in _measure(frame, tables, seed)
    ]
    chances = adjust_holm([one.p for *_, one in signs])
    signs = [
        (s, first, replace(one, p=p)) for (s, first, one), p in zip(signs, chances, strict=True)
    ]
    sure = [sign for sign in signs if sign[2].effect >= effect_min and sign[2].p <= p_max]
    best: dict[str, tuple[str, Order]] = {}
    for split, first, one in sorted(sure, key=lambda told: (-told[2].effect, told[2].what)):
        best.setdefault(split, (first, one))
    rows = [(first, round(one.effect, DIGITS), effect_min, _say(split, one))
            for split, (first, one) in best.items()]  # fmt: skip
    facts = {f"{split}: {one.what}": round(one.effect, DIGITS) for split, _, one in signs}
    told = pl.DataFrame(rows, schema=FOUND, orient="row").sort("sample_id")
    return Judged(told, facts=facts or {"not_judged": f"no split has {rows_min} rows in files"})


def _place(tables: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    """sample_id, split and label of the rows of files that hold several, in their order."""
    if not {"uri", "row"} <= set(tables["samples"].collect_schema().names()):
        return pl.DataFrame(schema={"sample_id": pl.String, "split": pl.String, "label": pl.String})
    every = tables["samples"].select("sample_id", "split", "uri", "row").collect()
    named = read_labelled(tables).select("sample_id", "label")
    several = every.filter(pl.len().over("uri") > 1).join(named, on="sample_id", how="left")
    return several.sort("uri", "row").select("sample_id", "split", "label")


def _measure(frame: pl.DataFrame, tables: Mapping[str, pl.LazyFrame], seed: int) -> list[Order]:
    """The signs that a split has: of labels if there are two, of features if there are any."""
    labels = frame["label"].drop_nulls()
    signs = []
    if labels.n_unique() > 1:
        codes = labels.rank("dense").cast(pl.Int64).to_numpy() - 1
        signs += [measure_runs(codes), measure_label_drift(codes)]
    if "features" in tables:
        features = tables["features"].select("sample_id", "features").drop_nulls("features")
        both = frame.join(features.collect(), on="sample_id", maintain_order="left")
        if both.height > AXES:
            order = np.argsort(both["sample_id"].to_numpy(), kind="stable")
            points = find_directions(stack(both["features"]), order.astype(np.int64), seed)
            signs.append(measure_drift(points[:, :AXES].round(5).astype(np.float64)))
    return signs


def _say(split: str, one: Order) -> str:
    odds = "below 1e-9" if one.p < 1e-9 else f"{one.p:.1g}"  # noqa: PLR2004 - the limit ends
    return (
        f"the rows of {split} stand in an order: {SAID[one.what]} (effect {one.effect:.2f} of 1,"
        f" chance {odds}); shuffle them before reading a part or in turn"
    )
