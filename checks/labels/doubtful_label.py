"""Labels that may well be wrong, though no one would bet on it."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from checks.core.check import Judged, SetExample, set_check

WRONG = "label_wrong"
_IDS = [f"{at:032x}-0" for at in range(4)]


def _example(*wrong: float | None) -> SetExample:
    tables: dict[str, dict[str, list[object]]] = {
        "samples": {"sample_id": list(_IDS), "split": ["train", "train", "train", "test"],
                    "label": ["a", "b", "a", "b"]},
        "scores": {"sample_id": list(_IDS), WRONG: list(wrong)},
    }  # fmt: skip
    found = [one for one, chance in zip(_IDS[:3], wrong, strict=False) if (chance or 0) > 0.5]  # noqa: PLR2004
    return SetExample(tables, frozenset(found))


@set_check(
    needs=("samples", "scores"),
    dimension="incorrect",
    severity="info",
    action="down_weight",
    relative=True,
    wrong_min=0.05,
    examples=(_example(0.9, 0.01, 0.6, 0.9), _example(0.0, 0.01, None, 0.9)),
)
def doubtful_label(tables: Mapping[str, pl.LazyFrame], *, wrong_min: float) -> Judged:
    """Flag train labels that are wrong with a chance of `wrong_min` or more.

    The chance is `label_wrong` of `unlikely_label`. That check flags what is wrong for sure, to be
    taken out; whatever may be wrong, those included, should count for as much as it is likely right
    (`[policy] weights`). Most of them are right: nothing is proposed for review. Where that check
    flags none, hard samples cannot be told from wrong ones, and none is doubted.

    Why: dropping only what is sure leaves two thirds of the wrong labels of CIFAR-10N in; weighing
    the doubtful ones recovers half as much again of what dropping every wrong label would gain, and
    where no label is wrong none is doubted.
    Source: own measurement (bench/experiment_speed.py); weights by the posterior of a noise
    model as in Arazo et al. 2019, arXiv 1904.11238.
    """
    scores = tables["scores"]
    if WRONG not in scores.collect_schema():
        return Judged(_tell(pl.LazyFrame(schema={"sample_id": pl.String, WRONG: pl.Float64}), 1.0),
                      facts={"not_judged": "unlikely_label did not run"})  # fmt: skip
    train = tables["samples"].filter(pl.col("split") == "train").select("sample_id")
    known = scores.select("sample_id", WRONG).join(train, on="sample_id", how="semi")
    found = _tell(known.filter(pl.col(WRONG) >= wrong_min), wrong_min)
    return Judged(found, facts={"doubted": found.height})


def _tell(doubted: pl.LazyFrame, wrong_min: float) -> pl.DataFrame:
    percent = (100 * pl.col(WRONG)).round().cast(pl.Int64)
    evidence = pl.format("its label is wrong with a chance of some {} %", percent)
    return doubted.select(
        "sample_id", pl.col(WRONG).alias("value"), pl.lit(wrong_min).alias("threshold"),
        evidence.alias("evidence"),
    ).sort("sample_id").collect()  # fmt: skip
