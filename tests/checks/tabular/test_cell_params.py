"""Laws of the parameters of cell checks."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest

from checks.core.check import CellExample, Check, load_checks
from checks.metrics.tabular import profile_table

CHECKS = [check for check in load_checks().values() if check.kind == "cell"]
NUMERIC = [(c, key) for c in CHECKS for key, v in c.params.items() if isinstance(v, int | float)]


def flagged(check: Check, example: CellExample) -> set[tuple[int, str]]:
    """The cells of an example that a check flags."""
    table = pl.DataFrame(dict(example.table), strict=False)
    rules = check(profile_table(table.lazy(), label=example.label))
    return {
        (int(row), rule.column)
        for rule in rules
        for row in table.with_columns(rule.flagged.alias("#"))["#"].arg_true()
    }


@pytest.mark.parametrize(("check", "key"), NUMERIC, ids=[f"{c.id}.{key}" for c, key in NUMERIC])
def test_parameters_are_nested(check: Check, key: str) -> None:
    """Moving a parameter only adds flags or only takes some away."""
    default = check.params[key]
    assert isinstance(default, int | float)
    for example in check.examples:
        assert isinstance(example, CellExample)
        moved = sorted({type(default)(default * f) for f in (0.25, 0.5, 1, 2, 4)})
        sets = [flagged(check.configured(**{key: value}), example) for value in moved]
        for one, two in pairwise(sets):
            assert one <= two or two <= one


def test_there_are_enough() -> None:
    """At least 14 cell checks are found."""
    assert len(CHECKS) >= 14
