"""Fills: fitted on train rows, exact where they are counts, the same whatever the order."""

from __future__ import annotations

from statistics import median_low, mode

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.metrics import fills as own
from checks.metrics.fills import FillRule, Method, fill_table, fit_fills, lay_cells
from checks.metrics.tabular import profile_table

NOTHING = pl.DataFrame(schema={"sample_id": pl.String, "column": pl.String})


def fill(
    frame: pl.DataFrame, rules: dict[str, tuple[Method, tuple[str, ...]]],
    wrong: pl.DataFrame = NOTHING, *, seed: int = 0, rows_max: int = 1000,
) -> dict[tuple[int, str], str]:  # fmt: skip
    """The filled cells of `frame` (`split` and data columns), by row and column."""
    data = frame.drop("split")
    columns = profile_table(data.lazy(), label=None).columns
    chosen = [FillRule(c, *rules[c.name]) for c in columns if c.name in rules]
    ids = pl.Series("sample_id", [f"{at:032x}-0" for at in range(frame.height)])
    rows = data.with_columns(ids, frame["split"].alias(own.SPLIT)).lazy()
    cells = lay_cells(rows, columns, chosen, wrong)
    fitted = fit_fills(cells, chosen, rows_max=rows_max, seed=seed)
    told = fill_table(cells, fitted)
    return {
        (int(s[:32], 16), c): v for s, c, v in told.select("sample_id", "column", "value").rows()
    }


def made(count: int = 400) -> pl.DataFrame:
    """Two towns with heights of their own, a weight that follows the height, and gaps in test."""
    rng = np.random.default_rng(0)
    town = rng.choice(["Bonn", "Ulm"], count)
    height = np.where(town == "Bonn", 160, 180) + rng.integers(-5, 6, count)
    return pl.DataFrame(
        {
            "town": town, "height": height,
            "weight": (height - 100) * 0.9 + rng.normal(0, 0.5, count),
            "shirt": np.where(town == "Bonn", "S", "L"), "split": "train",
        }
    )  # fmt: skip


def with_gaps(frame: pl.DataFrame, column: str, rows: range) -> pl.DataFrame:
    """`frame` without the values of a column in some rows."""
    at = pl.int_range(pl.len()).is_in(list(rows))
    return frame.with_columns(pl.when(~at).then(pl.col(column)).alias(column))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | st.integers(-5, 5), min_size=2, max_size=40))
def test_median_and_mode_against_python(values: list[int | None]) -> None:
    """The lower median and the smallest commonest value of what is known fill what is not."""
    known = [v for v in values if v is not None]
    if len(set(known)) < 2:
        return
    frame = pl.DataFrame({"n": pl.Series(values, dtype=pl.Int64), "x": range(len(values))})
    frame = frame.with_columns(split=pl.lit("train"))
    middle = fill(frame, {"n": ("median", ())})
    gaps = {at for at, value in enumerate(values) if value is None}
    assert {at for at, _ in middle} == gaps
    assert set(middle.values()) <= {str(median_low(known))}
    if profile_table(frame.lazy(), label=None).column("n").kind == "number":
        assert set(fill(frame, {"n": ("mode", ())}).values()) <= {str(mode(sorted(known)))}


def test_groups_speak_for_themselves() -> None:
    """A gap takes the median or mode of its own group; a group of few rows takes that of all."""
    frame = with_gaps(with_gaps(made(), "height", range(10)), "shirt", range(5, 10))
    frame = frame.with_columns(
        town=pl.when(pl.int_range(pl.len()) < 3).then(pl.lit("Rare")).otherwise("town")
    )
    found = fill(frame, {"height": ("group", ("town",)), "shirt": ("group", ("town",))})
    middle = {t: int(frame.filter(pl.col("town") == t)["height"].quantile(0.5, "lower") or 0)
              for t in ("Bonn", "Ulm")}  # fmt: skip
    everyone = int(frame["height"].quantile(0.5, "lower") or 0)
    for at, town in enumerate(frame["town"].head(10)):
        assert found[at, "height"] == str(middle.get(town, everyone))
    assert all(found[at, "shirt"] == {"Bonn": "S", "Ulm": "L"}[frame["town"][at]]
               for at in range(5, 10))  # fmt: skip


@pytest.mark.parametrize("method", ["knn", "iterative"])
def test_models_beat_the_median(method: Method) -> None:
    """Where a weight follows the height, both models come much closer than the median."""
    frame = made()
    gappy = with_gaps(frame, "weight", range(40))
    found, plain = (fill(gappy, {"weight": (how, ())}) for how in (method, "median"))
    true = frame["weight"].head(40)
    errors = [
        float(np.mean([abs(float(one[at, "weight"]) - true[at]) for at in range(40)]))
        for one in (found, plain)
    ]
    assert errors[0] < 0.25 * errors[1]


@pytest.mark.parametrize("method", ["median", "mode", "group", "knn", "iterative"])
def test_test_rows_are_filled_and_teach_nothing(method: Method) -> None:
    """What test holds changes no fill, and a gap of test is filled as one of train would be."""
    frame = with_gaps(made(), "height", range(20))
    later = pl.int_range(pl.len()) >= 300
    split = frame.with_columns(split=pl.when(later).then(pl.lit("test")).otherwise(pl.lit("train")))
    split = with_gaps(split, "height", range(300, 310))
    spoilt = split.with_columns(
        height=pl.when(later).then(pl.col("height") * 9).otherwise("height")
    )
    rules: dict[str, tuple[Method, tuple[str, ...]]] = {"height": (method, ("town",))}
    assert fill(split, rules) == fill(spoilt, rules)
    assert {at for at, _ in fill(split, rules)} == {*range(20), *range(300, 310)}


@pytest.mark.parametrize("method", ["median", "group", "knn", "iterative"])
def test_batches_and_seeds_change_nothing_that_matters(
    method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same cells get the same values in batches of 7 rows, and with the same seed again."""
    frame = with_gaps(made(), "weight", range(0, 200, 3))
    rules: dict[str, tuple[Method, tuple[str, ...]]] = {"weight": (method, ("town",))}
    whole = fill(frame, rules)
    assert fill(frame, rules) == whole
    monkeypatch.setattr(own, "BATCH_ROWS", 7)
    assert fill(frame, rules) == whole


def test_empty_is_what_has_no_value() -> None:
    """Null, NaN, blanks and placeholder words are filled; infinity, zero and words are values."""
    frame = pl.DataFrame(
        {
            "n": [1.5, float("nan"), None, float("inf"), 0.0] * 8,
            "t": ["1", " ", "N/A", "unknown", "2"] * 8,
            "c": ["a", "", "?", "unknown", "b"] * 8,
            "split": "train",
        }
    )
    found = fill(frame, {"n": ("median", ()), "t": ("median", ()), "c": ("mode", ())})
    holes = {c: {at % 5 for at, name in found if name == c} for c in "ntc"}
    assert holes == {"n": {1, 2}, "t": {1, 2, 3}, "c": {1, 2}}


def test_wrong_cells_are_filled_and_not_believed() -> None:
    """A cell that is said to be wrong takes no part in the median, and gets it."""
    frame = pl.DataFrame({"n": [1, 1, 2, 900, 900, 900, 3], "x": [*"abcabca"], "split": "train"})
    wrong = pl.DataFrame({"sample_id": [f"{at:032x}-0" for at in (3, 4, 5)], "column": "n"})
    assert fill(frame, {"n": ("median", ())}, wrong) == {(at, "n"): "1" for at in (3, 4, 5)}


def test_values_stay_in_the_range_that_was_seen() -> None:
    """The regression does not write a height that nobody has, however light a row is."""
    frame = with_gaps(made(), "height", range(1)).with_columns(
        weight=pl.when(pl.int_range(pl.len()) == 0).then(-500.0).otherwise("weight")
    )
    found = fill(frame, {"height": ("iterative", ())})
    assert int(found[0, "height"]) >= int(frame["height"].min())  # type: ignore[arg-type]


def test_a_column_without_values_is_left() -> None:
    """Where train has no value at all, nothing is made up."""
    frame = pl.DataFrame(
        {"n": [None, None, 4, 5], "x": range(4), "split": ["train"] * 2 + ["test"] * 2}
    )
    assert fill(frame, {"n": ("knn", ())}) == {}
