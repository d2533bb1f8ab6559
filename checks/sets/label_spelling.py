"""Labels that one split spells otherwise than another: two classes where there is one."""

from __future__ import annotations

import json
from collections.abc import Mapping

import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.metrics.label_spelling import count_labels, match_spellings

FOUND = {"sample_id": pl.String, "value": pl.Float64, "suggestion": pl.String,
         "evidence": pl.String}  # fmt: skip


def _example(train: list[str], test: list[str]) -> SetExample:
    """Samples with these labels; flagged is the first one of test."""
    count = len(train) + len(test)
    ids: list[object] = [f"{at:032x}-0" for at in range(count)]
    splits = ["train"] * len(train) + ["test"] * len(test)
    samples: dict[str, list[object]] = {
        "sample_id": ids, "split": list(splits), "label": [*train, *test]
    }  # fmt: skip
    flagged = frozenset({str(ids[len(train)])}) if test else frozenset()
    return SetExample({"samples": samples}, flagged)


@set_check(
    needs=("samples",),
    dimension="incorrect",
    severity="error",
    action="review",
    rare_frac_max=0.1,
    examples=(
        _example([">50K", "<=50K", "<=50K"], ["<=50K."]),
        _example(["yes"] * 10 + ["no"], [" Yes", " Yes"]),
        _example(["a", "A", "a", "A"], []),
    ),
)
def label_spelling(tables: Mapping[str, pl.LazyFrame], *, rare_frac_max: float) -> Judged:
    """Flag a label that is another label of the set in a different spelling.

    Blanks, case, width, stops behind it, hyphens for blanks and `1.0` for `1` are spelling. The
    commonest spelling of train is proposed. One that train has too is named only where it has at
    most `rare_frac_max` of the rows there: letters in two cases are two classes. One finding for
    each spelling, on the first of its rows; the value is how many rows are spelt so.

    `[labels] rename` in the configuration spells labels anew, in every split.

    Why: a class of test that train spells otherwise is never predicted: accuracy falls to nothing,
    and two half classes are learnt where there is one.
    Source: the Adult data set, whose test labels end in a stop; deepchecks 0.19, StringMismatch
    and NewLabelTrainTest.
    """
    samples = tables["samples"].select("sample_id", "split", "label").collect()
    counts, train = count_labels(samples)
    matched = match_spellings(counts, train, rare_frac_max)
    first = samples.filter(pl.col("label").is_in(list(matched))).sort("sample_id")
    first = first.unique("label", keep="first", maintain_order=True)
    found = [
        (sample_id, float(counts[label]), matched[label], _tell(label, matched[label], counts))
        for sample_id, label in first.select("sample_id", "label").iter_rows()
    ]
    return Judged(pl.DataFrame(found, schema=FOUND, orient="row"), facts={"rename": matched})


def _tell(label: str, usual: str, counts: Mapping[str, int]) -> str:
    rename = f"{{{json.dumps(label)} = {json.dumps(usual)}}}"
    there = f"{counts[usual]} rows say '{usual}'"
    return f"{counts[label]} rows say '{label}' where {there}; [labels] rename = {rename}"
