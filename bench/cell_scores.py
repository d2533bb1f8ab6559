"""Cells called wrong against the cells that are: precision, recall, F1 and calibration."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bench.cell_calibration import find
from checks.metrics.cell_verdicts import WRONG_MIN, judge_cells

Place = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Score:
    """How the cells called wrong and the wrong cells overlap."""

    called: int
    wrong: int
    both: int

    @property
    def precision(self) -> float:
        """Share of the called cells that are wrong; 1 where none is called."""
        return self.both / self.called if self.called else 1.0

    @property
    def recall(self) -> float:
        """Share of the wrong cells that are called; 1 where none is wrong."""
        return self.both / self.wrong if self.wrong else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.both / (self.called + self.wrong) if self.called + self.wrong else 1.0


def judge(table: pl.DataFrame, label: str | None = None) -> dict[Place, float]:
    """Return the confidence of every cell of a table that some check flags."""
    ids = pl.DataFrame({"row": range(table.height)}).select(
        pl.lit("t").alias("uri"), pl.col("row").cast(pl.Int64),
        sample_id=pl.format("{}-0", pl.col("row")),
    )  # fmt: skip
    verdicts = judge_cells(find(table, label).drop("row"), ids)
    return {(r, c): p for r, c, p in verdicts.select("row", "column", "confidence").iter_rows()}


def call_wrong(confidence: Mapping[Place, float]) -> set[Place]:
    """Return the cells that are more likely wrong than right."""
    return {place for place, p in confidence.items() if p >= WRONG_MIN}


def score(called: AbstractSet[Place], wrong: AbstractSet[Place]) -> Score:
    """Count the overlap."""
    return Score(len(called), len(wrong), len(called & wrong))


def brier(confidence: Mapping[Place, float], wrong: AbstractSet[Place]) -> float:
    """Return the mean squared distance between confidence and truth over the flagged cells."""
    squares = [(p - (place in wrong)) ** 2 for place, p in confidence.items()]
    return sum(squares) / max(len(squares), 1)


def reliability(
    cases: Iterable[tuple[float, bool]], bounds: tuple[float, ...] = (0.25, 0.5, 0.75, 0.95, 1.01)
) -> list[tuple[float, float, int]]:
    """Return for each band of confidence: its mean, the share that is wrong, and how many cells."""
    told, low, rows = list(cases), 0.0, []
    for high in bounds:
        band = [(p, y) for p, y in told if low <= p < high]
        if band:
            n = len(band)
            rows.append((sum(p for p, _ in band) / n, sum(y for _, y in band) / n, n))
        low = high
    return rows


def read_text(path: Path) -> pl.DataFrame:
    """Return a CSV as text; only an empty cell is null: `N/A` and `empty` are values."""
    return pl.read_csv(path, infer_schema=False)


def read_pair(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame, set[Place]]:
    """Return dirty.csv, clean.csv under the same names, and the cells that differ in meaning."""
    dirty, clean = read_text(folder / "dirty.csv"), read_text(folder / "clean.csv")
    clean.columns = dirty.columns
    wrong = {
        (row, column)
        for column in dirty.columns
        for row, (a, b) in enumerate(zip(dirty[column], clean[column], strict=True))
        if meaning(a) != meaning(b)
    }
    return dirty, clean, wrong


def meaning(cell: str | None) -> str:
    """Return a cell as it is compared: trimmed, entities resolved, 12 and 12.0 alike."""
    text = html.unescape(cell or "").strip()
    try:
        return repr(float(text))
    except ValueError:
        return text
