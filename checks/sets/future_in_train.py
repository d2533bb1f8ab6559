"""Time that runs backwards across the split: train rows from when the test has begun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.metrics.column_table import read_columns
from checks.metrics.tabular_profile import ColumnProfile
from checks.sets.drawn import ROWS_MAX, Drawn, draw_rows, list_samples

FOUND = {"sample_id": pl.String, "column": pl.String, "value": pl.Float64, "threshold": pl.Float64,
         "severity": pl.String, "evidence": pl.String}  # fmt: skip
DIGITS = 3
ORDERED_MIN = 0.95  # of the steps from row to row, that a table is in the order of time
BEGIN = 0.01  # of the held-out rows may lie before it: a few dates are wrong
Seconds = npt.NDArray[np.float64]


def _example(days: list[int], test: set[int], flagged: int | None) -> SetExample:
    """Rows in this order with these days, some of them in test."""
    splits = ["test" if at in test else "train" for at in range(len(days))]
    start = date(2024, 1, 1)
    samples = list_samples(["x"] * len(days), splits)
    ids = samples["sample_id"]
    tables: dict[str, dict[str, list[object]]] = {
        "samples": samples,
        "rows": {"sample_id": ids, "sold": [str(start + timedelta(day)) for day in days]},
        "columns": {"name": ["sold"], "dtype": ["String"], "kind": ["datetime"],
                    "date_format": ["iso"]},
    }  # fmt: skip
    return SetExample(tables, frozenset() if flagged is None else frozenset({str(ids[flagged])}))


@dataclass(frozen=True, slots=True)
class Overlap:
    """How a held-out split lies to train in time.

    after: chance that a row of it is later than one of train, 0..1. begin: when it begins, epoch
    seconds. frac: share of the train rows that are later than that, 0..1.
    """

    split: str
    after: float
    begin: float
    frac: float


@set_check(
    modality="table",
    needs=("samples", "rows", "columns"),
    dimension="leak",
    severity="warning",
    action="keep",
    overlap_max=0.01,
    apart_min=0.9,
    rows_min=30,
    rows_max=ROWS_MAX,
    examples=(
        _example(list(range(100)), set(range(50)), 99),
        _example([*range(90), *range(80, 120)], set(range(90, 130)), 89),
        _example(list(range(100)), set(range(60, 100)), None),
        _example([at * 37 % 100 for at in range(100)], set(range(0, 100, 2)), None),
    ),
)  # fmt: skip
def future_in_train(
    tables: Mapping[str, pl.LazyFrame], *, overlap_max: float, apart_min: float, rows_min: int,
    rows_max: int,
) -> Judged:  # fmt: skip
    """Flag a time column by which train holds rows from after the test, or validation, begins.

    A split is by time if a held-out row is later than a train row with a chance of at least
    `apart_min`: then at most `overlap_max` of the train rows may be later than its beginning (its
    first hundredth). If train is the later one with that chance, time runs backwards: an error. A
    split at random over a table whose rows are in the order of time is told as information. Other
    dates, such as those of birth, are passed over, and so are columns with fewer than `rows_min`
    dates in a split. At most `rows_max` rows are read; the finding shows the latest train row.

    Why: whoever has seen tomorrow predicts today; a model in use never has.
    Source: Kaufman et al. 2012, Leakage in data mining (no-time-machine requirement); the order of
    two splits is the area under the curve of telling them apart by time.
    """
    drawn, found = draw_rows(tables, rows_max), []
    facts: dict[str, object] = {}
    for column in read_columns(tables["columns"]):
        if column.kind != "datetime":
            continue
        times = drawn.rows.select(column.number).to_series().fill_null(float("nan")).to_numpy()
        overlaps = _compare(drawn.samples["split"], times, rows_min)
        facts[column.name] = {one.split: round(one.frac, DIGITS) for one in overlaps}
        told = [_judge(one, overlap_max, apart_min, drawn, times) for one in overlaps]
        worst = max((one for one in told if one), default=None, key=lambda one: one[0])
        if worst is not None:
            found.append(_find(column, worst, drawn, times, overlap_max))
    return Judged(pl.DataFrame(found, schema=FOUND, orient="row"), facts={"later_frac": facts})


def _compare(splits: pl.Series, times: Seconds, rows_min: int) -> list[Overlap]:
    """Validation and test against train, where each has enough dates."""
    known = np.isfinite(times)
    train = np.sort(times[known & (splits == "train").to_numpy()])
    found = []
    for split in ("val", "test"):
        held = np.sort(times[known & (splits == split).to_numpy()])
        if min(train.size, held.size) < rows_min:
            continue
        below = np.searchsorted(train, held, "left") + np.searchsorted(train, held, "right")
        begin = float(held[int(BEGIN * held.size)])
        later = train.size - int(np.searchsorted(train, begin, "right"))
        after = int(below.sum()) / (2 * train.size * held.size)
        found.append(Overlap(split, after, begin, later / train.size))
    return found


def _judge(
    one: Overlap, overlap_max: float, apart_min: float, drawn: Drawn, times: Seconds
) -> tuple[int, Overlap, str] | None:
    """How bad it is (0 information, 1 warning, 2 error) and why; None where nothing is wrong."""
    later = f"{one.frac:.1%} of the train rows are later than the beginning of {one.split}"
    if one.after >= apart_min:
        return (1, one, later) if one.frac > overlap_max else None
    if one.after <= 1 - apart_min:
        return 2, one, f"{one.split} lies before train: {later}"
    if _in_order(drawn, times) >= ORDERED_MIN:
        told = f"{one.split} is drawn at random from a table in the order of time"
        return 0, one, f"{told}: {later}"
    return None


def _in_order(drawn: Drawn, times: Seconds) -> float:
    """Share of the steps from one row of a file to the next that do not go back in time, 0..1."""
    placed = drawn.samples.select("uri", "row").with_columns(
        time=pl.Series(times, nan_to_null=True)
    )
    step = pl.col("time").diff().over("uri", order_by="row")
    steps = placed.drop_nulls("time").select(step=step).drop_nulls()["step"]
    return int((steps >= 0).sum()) / max(len(steps), 1)


def _find(
    column: ColumnProfile, worst: tuple[int, Overlap, str], drawn: Drawn, times: Seconds,
    overlap_max: float,
) -> tuple[object, ...]:  # fmt: skip
    rank, one, why = worst
    in_train = (drawn.samples["split"] == "train").to_numpy() & np.isfinite(times)
    latest = int(np.where(in_train, times, -np.inf).argmax())
    since = str(np.datetime64(int(one.begin), "s")).replace("T", " ").removesuffix(" 00:00:00")
    severity = ("info", "warning", "error")[rank]
    shown = drawn.samples["sample_id"][latest]
    evidence = f"{column.name}: {why} ({since})"
    return shown, column.name, round(one.frac, DIGITS), overlap_max, severity, evidence
