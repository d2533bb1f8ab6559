"""What single detectors leave alone, and what they still see among many errors."""

from __future__ import annotations

import random
from datetime import date, timedelta

import polars as pl
import pytest

from checks.core.cells import run_cell_checks
from checks.core.check import Check, load_checks
from checks.core.run import run_set_checks
from checks.metrics.column_table import tabulate_columns
from checks.metrics.tabular import profile_table
from checks.metrics.tabular_missing import OWN_MARKER

KNOWN = load_checks()


def find(check: Check, table: pl.DataFrame) -> pl.DataFrame:
    """The findings of one check on a table of data columns, with `row`."""
    keyed = table.select(pl.lit("t").alias("uri"), pl.int_range(pl.len()).alias("row"), pl.all())
    ids = keyed.select(
        "uri", "row", sample_id=pl.format("{}-0", pl.col("row").cast(pl.String).str.zfill(6))
    )
    profile = profile_table(keyed.lazy(), label=None)
    if check.kind == "cell":
        found = run_cell_checks(keyed.lazy(), ids, profile, [check])
    else:
        rows = table.with_columns(ids["sample_id"])
        tables = {"samples": ids, "rows": rows, "columns": tabulate_columns(profile)}
        found = run_set_checks({n: t.lazy() for n, t in tables.items()}, [check]).findings
    return found.with_columns(row=pl.col("sample_id").str.strip_suffix("-0").cast(pl.Int64))


def rows_of(name: str, table: pl.DataFrame, column: str) -> set[int]:
    """The rows whose cell of `column` a check flags."""
    return set(find(KNOWN[name], table).filter(pl.col("column") == column)["row"])


def test_outliers_do_not_hide_each_other() -> None:
    """Of 3 % of numbers with a digit too many, each is found."""
    rng = random.Random(2)  # noqa: S311 - seeded on purpose
    ages = [rng.randrange(18, 80) for _ in range(1000)]
    wrong = set(range(0, 1000, 33))
    table = pl.DataFrame({"years": [10 * a if i in wrong else a for i, a in enumerate(ages)]})
    assert rows_of("numeric_outlier", table, "years") >= {i for i in wrong if ages[i] > 20}
    assert rows_of("numeric_outlier", table, "years") <= wrong


def test_codes_are_no_quantities() -> None:
    """In a column of five-digit codes one far from the others passes, one of six does not."""
    codes = [35_000 + i % 90 for i in range(400)]
    table = pl.DataFrame({"zip": [*codes, 99_501, 350_100]})
    assert rows_of("numeric_outlier", table, "zip") == {401}


def test_what_the_row_confirms_is_no_outlier() -> None:
    """A rare large number that its row's key always has is right."""
    planes = [f"N{i % 40}" for i in range(800)] + ["N747"] * 4
    seats = [150 + i % 40 for i in range(800)] + [660] * 4
    assert (
        rows_of("numeric_outlier", pl.DataFrame({"plane": planes, "seats": seats}), "seats")
        == set()
    )


def test_a_second_way_of_writing_is_no_slip() -> None:
    """A shape that one text in fifty has stays; single texts of other shapes are flagged."""
    codes = [f"{i}/23" if i % 50 == 0 else f"AB-{i:03}" for i in range(500)]
    codes[7], codes[8] = "AB 007", "ab-008"
    assert rows_of("pattern_outlier", pl.DataFrame({"code": codes}), "code") == {7, 8}


def test_halves_are_no_slips() -> None:
    """Among whole numbers halves and quarters pass, other fractions do not."""
    hours = [float(20 + i % 40) for i in range(400)]
    hours[3], hours[4], hours[5] = 37.5, 38.25, 64.37
    assert rows_of("pattern_outlier", pl.DataFrame({"hours": hours}), "hours") == {5}


def test_the_tables_own_marker_is_told_apart() -> None:
    """`?` in every gap of a table is a convention, `N/A` beside it a disguise; both are missing."""
    table = pl.DataFrame({
        "work": ["?" if i % 9 == 0 else "N/A" if i == 4 else f"w{i % 5}" for i in range(200)],
        "land": ["?" if i % 7 == 0 else f"l{i % 6}" for i in range(200)],
    })  # fmt: skip
    found = find(KNOWN["placeholder_value"], table)
    own = found.filter(pl.col("evidence") == OWN_MARKER)
    other = found.filter(pl.col("evidence") != OWN_MARKER)
    assert own.height == len(range(0, 200, 9)) + len(range(0, 200, 7))
    assert other.select("row", "column").rows() == [(4, "work")]


@pytest.mark.parametrize("empty", [None, ""])
def test_beside_empty_cells_a_word_is_a_disguise(empty: str | None) -> None:
    """Where a table leaves more cells empty than it marks, no word is its own marker."""
    table = pl.DataFrame({
        "work": ["?" if i in (3, 5) else empty if i % 4 == 0 else f"w{i % 5}" for i in range(100)],
        "land": ["?" if i == 9 else f"l{i % 6}" for i in range(100)],
    })  # fmt: skip
    found = find(KNOWN["placeholder_value"], table)
    assert OWN_MARKER not in set(found["evidence"])
    assert found.height == 3


def test_rare_words_for_a_gap_count_among_words() -> None:
    """`unknown` in two rows of hundred is a gap, in twenty it is an answer."""
    few = pl.DataFrame({"town": ["unknown" if i in (3, 60) else f"t{i % 9}" for i in range(100)]})
    many = pl.DataFrame({"town": ["unknown" if i % 5 == 0 else f"t{i % 9}" for i in range(100)]})
    assert rows_of("placeholder_value", few, "town") == {3, 60}
    assert rows_of("placeholder_value", many, "town") == set()


def test_an_ending_that_is_usual_was_not_swallowed() -> None:
    """`oak chair` of the kind `chair` is whole where the kind is lost; `Bonn North` is not."""
    names = [f"{hue} {kind}" for hue in ("oak", "ash") for kind in ("chair", "lamp")] * 30
    kinds: list[str | None] = [name.split()[1] for name in names]
    kinds[5] = None
    assert find(KNOWN["merged_fields"], pl.DataFrame({"name": names, "kind": kinds})).height == 0
    towns = ["Bonn", "Ulm"] * 30 + ["Bonn far north"]
    parts = ["far north", "south"] * 30 + [None]
    found = find(KNOWN["merged_fields"], pl.DataFrame({"town": towns, "part": parts}))
    assert dict(found.select("column", "suggestion").iter_rows()) == {
        "town": "Bonn", "part": "far north",
    }  # fmt: skip


def test_a_dropped_letter_of_a_short_word_is_a_typo() -> None:
    """A word of three letters is a typo of one of four; two-letter codes are left alone."""
    table = pl.DataFrame(
        {"sex": ["Male", "Female"] * 40 + ["Mle"], "land": ["US", "DE"] * 40 + ["UK"]}
    )
    assert rows_of("rare_typo", table, "sex") == {80}
    assert rows_of("rare_typo", table, "land") == set()


def stays(rows: int = 300) -> dict[str, list[date]]:
    """When patients came, were operated on and left: in this order, within days."""
    came = [date(2022, 1, 3) + timedelta(days=i) for i in range(rows)]
    cut = [day + timedelta(days=i % 3) for i, day in enumerate(came)]
    left = [day + timedelta(days=1 + i % 6) for i, day in enumerate(cut)]
    return {"came": came, "cut": cut, "left": left}


def test_the_date_that_contradicts_two_is_blamed() -> None:
    """Of three dates in order the one that breaks both orders is flagged, and no other."""
    told = stays()
    told["cut"][40] = told["came"][40] + timedelta(days=200)
    found = find(KNOWN["inconsistent_dates"], pl.DataFrame(told))
    assert found.select("row", "column").rows() == [(40, "cut")]


def test_day_and_month_exchanged_are_mended() -> None:
    """A date whose day and month were exchanged is flagged alone, with what it should be."""
    told = stays()
    at = told["left"].index(date(2022, 3, 5)) if date(2022, 3, 5) in told["left"] else 60
    right = told["left"][at]
    told["left"][at] = right.replace(month=right.day, day=right.month)
    found = find(KNOWN["inconsistent_dates"], pl.DataFrame(told))
    assert found.select("row", "column", "suggestion").rows() == [(at, "left", str(right))]


def test_dates_without_an_order_are_left_alone() -> None:
    """Dates of which either may come first are never out of order."""
    rng = random.Random(1)  # noqa: S311 - seeded on purpose
    days = [
        [date(2020, 1, 1) + timedelta(days=rng.randrange(900)) for _ in range(300)] for _ in "ab"
    ]
    assert find(KNOWN["inconsistent_dates"], pl.DataFrame({"a": days[0], "b": days[1]})).height == 0


def test_a_number_of_another_group_is_found() -> None:
    """A time that is usual for one event is flagged in another; an idle group says nothing."""
    rng = random.Random(7)  # noqa: S311 - seeded on purpose
    usual = {"sprint": 11.0, "lap": 110.0, "long": 1800.0}
    events = [rng.choice(sorted(usual)) for _ in range(600)]
    times = [round(usual[e] * rng.gauss(1, 0.03), 2) for e in events]
    events[9], times[9] = "sprint", 111.3
    clubs = [rng.choice("xyz") * 3 for _ in range(600)]
    table = pl.DataFrame({"event": events, "seconds": times, "club": clubs})
    assert rows_of("group_outlier", table, "seconds") == {9}
    assert find(KNOWN["group_outlier"], table.drop("event")).height == 0
