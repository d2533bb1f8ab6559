"""Flag rare values that are spelt almost like a frequent one."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_profile import ClosePair, TableProfile


@cell_check(
    dimension="incorrect", severity="warning", action="repair", ratio_min=10.0, distance_max=12,
    examples=(
        CellExample({"maker": ["BOEING"] * 30 + ["AIRBUS"] * 20 + ["BEOING", "airbus"]},
                    frozenset({(50, "maker"), (51, "maker")})),
        CellExample(
            {"model": ["A320-214"] * 30 + ["A319-214"], "sex": ["male", "female"] * 15 + ["male"]},
            frozenset(),
        ),
    ),
)  # fmt: skip
def rare_typo(profile: TableProfile, ratio_min: float, distance_max: int) -> list[CellRule]:
    """Flag a value within `distance_max` edits of one that is `ratio_min` times as frequent.

    How many edits are near grows with the length: 0 below 4 characters (only capitals may differ),
    1 below 8, 2 below 30, then a tenth. Codes that differ in a word with digits are no typos, nor
    are values that a key of the table confirms in several rows.

    Why: a misspelt category is a class of its own with a handful of rows.
    Source: Damerau 1964; Norvig's spelling corrector for the weight on frequency.
    """
    confirmed: dict[str, set[str]] = {}
    for dependency in profile.dependencies:
        confirmed.setdefault(dependency.dependent, set()).update(dependency.values)
    rules = []
    for column in profile.features:
        settled = confirmed.get(column.name, set())
        pairs = [
            pair
            for pair in column.close_pairs
            if pair.frequent_count >= ratio_min * pair.rare_count
            and pair.distance <= distance_max
            and pair.rare not in settled
        ]
        if pairs:
            rules.append(_rule(column.name, column.text, pairs, ratio_min))
    return rules


def _rule(name: str, text: pl.Expr, pairs: list[ClosePair], ratio_min: float) -> CellRule:
    meant = {p.rare: p.frequent if p.unique else None for p in pairs}
    ratio = {p.rare: p.frequent_count / p.rare_count for p in pairs}
    flagged = text.is_in(list(meant)).fill_null(value=False)
    return CellRule(
        name, flagged, "a rare value spelt almost like a frequent one",
        _look_up(text, ratio, pl.Float64), ratio_min, _look_up(text, meant, pl.String),
    )  # fmt: skip


def _look_up(text: pl.Expr, table: Mapping[str, object], dtype: type[pl.DataType]) -> pl.Expr:
    return text.replace_strict(list(table), list(table.values()), default=None, return_dtype=dtype)
