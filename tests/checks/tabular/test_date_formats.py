"""Dates in another format than their column's: told apart, and read where only one day is meant."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.core.check import load_checks
from checks.metrics.tabular_profile import DATE_FORMATS
from tests.checks.tabular.test_cell_evidence import find

CHECK = load_checks()["implausible_date"]
DAYS = [date(2022, 1, 1) + timedelta(days=i) for i in range(300)]


def proposed(form: str, *cells: str, days: list[date] = DAYS) -> list[tuple[str, str | None]]:
    """Return evidence and proposal of each cell behind `days` written in a format."""
    table = pl.DataFrame({"day": [*(day.strftime(DATE_FORMATS[form]) for day in days), *cells]})
    found = find(CHECK, table).sort("row")
    assert found["row"].to_list() == list(range(len(days), table.height))
    return found.select("evidence", "suggestion").rows()


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(DATE_FORMATS)), st.sampled_from(sorted(DATE_FORMATS)),
       st.dates(date(2020, 1, 1), date(2024, 12, 31)).filter(lambda d: d.day > 12))  # fmt: skip
def test_a_late_day_is_read_in_any_format(own: str, other: str, day: date) -> None:
    """A day after the 12th means one day whatever the format, and is proposed in the column's."""
    told = day.strftime(DATE_FORMATS[other]).replace("/", ".").replace("-", "/")
    if told == day.strftime(DATE_FORMATS[own]):
        return
    (evidence, meant), *rest = proposed(own, told)
    assert evidence == f"a date in another format than the column's ({DATE_FORMATS[own]})"
    assert (meant, rest) == (day.strftime(DATE_FORMATS[own]), [])


def test_the_columns_other_days_decide() -> None:
    """5/4 is read as April where the column has no May, and as nothing where it has both."""
    spring = [date(2022, 3, 20) + timedelta(days=i) for i in range(30)] * 5
    assert proposed("iso", "5/4/2022", days=spring)[0][1] == "2022-04-05"
    assert proposed("iso", "5/4/2022")[0][1] is None
    assert proposed("iso", "5/5/2022")[0][1] == "2022-05-05"


@pytest.mark.parametrize(
    ("cell", "evidence", "meant"),
    [
        ("31-12-2022 10:30", "a date in another format than the column's (%Y-%m-%d)",
         "2022-12-31 10:30"),
        ("2022-02-30", "no date: a day that no calendar has, or other text", None),
        ("99/99/2022", "no date: a day that no calendar has, or other text", None),
        ("31/12/22", "no date: a day that no calendar has, or other text", None),
        ("1970-01-01", "a filler, or far from all others", None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_apart(cell: str, evidence: str, meant: str | None) -> None:
    """Another format, a day of no calendar and a filler each have evidence of their own."""
    assert proposed("iso", cell) == [(evidence, meant)]
