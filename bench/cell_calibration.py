"""How often each signal is right, fitted to errors planted in the made tables for calibration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl

from bench.cell_errors import KINDS, plant, target_of
from bench.cell_tables import CALIBRATION, MadeTable
from checks.core.cells import run_cell_checks
from checks.core.check import load_checks
from checks.core.run import run_set_checks
from checks.metrics.cell_verdicts import CELL_DIMENSIONS, signal_of
from checks.metrics.column_table import tabulate_columns
from checks.metrics.tabular import profile_table

SEEDS, SHARES, ROUNDS = range(3), (0.0, 0.001, 0.003, 0.01), 200
SURE_MAX = 0.98  # nothing made up is surer than 49 of 50, of right or wrong
PAIRWISE = ("checks.tabular.group_outlier", "checks.tabular.inconsistent_dates")
Signals = dict[tuple[int, str], tuple[str, ...]]


def find(table: pl.DataFrame, label: str | None = None) -> pl.DataFrame:
    """Return the findings of all cell checks on a table of data columns, with `row`."""
    keyed = table.select(pl.lit("t").alias("uri"), pl.int_range(pl.len()).alias("row"), pl.all())
    ids = keyed.select("uri", "row", sample_id=pl.format("{}-0", pl.col("row")))
    checks = list(load_checks().values())
    profile = profile_table(keyed.lazy(), label=label)
    cells = run_cell_checks(keyed.lazy(), ids, profile, checks)
    rows = keyed.drop("uri", "row", *([label] if label else [])).hstack(ids.select("sample_id"))
    tables = {"samples": ids.lazy(), "rows": rows.lazy(),
              "columns": tabulate_columns(profile).lazy()}  # fmt: skip
    pairs = [c for c in checks if c.kind == "set" and c.function.__module__ in PAIRWISE]
    found = pl.concat([cells, run_set_checks(tables, pairs).findings], how="diagonal_relaxed")
    return found.with_columns(row=pl.col("sample_id").str.strip_suffix("-0").cast(pl.Int64))


def signals_of(findings: pl.DataFrame) -> Signals:
    """Return the signals of each flagged cell."""
    kept = findings.filter(pl.col("dimension").is_in(CELL_DIMENSIONS))
    told = kept.group_by("row", "column").agg(signal_of().unique().sort().alias("signals"))
    return {(row, column): tuple(signals) for row, column, signals in told.iter_rows()}


def fit(cases: Iterable[tuple[Sequence[str], bool]]) -> dict[str, float]:
    """Return each signal's precision under noisy-or, by expectation maximisation.

    Args:
        cases: the signals of a flagged cell, and whether it is wrong.

    A prior of one right and one wrong case keeps a rare signal away from 0 and 1.
    """
    counts: dict[tuple[tuple[str, ...], bool], int] = {}
    for signals, wrong in cases:
        counts[tuple(signals), wrong] = counts.get((tuple(signals), wrong), 0) + 1
    shown: dict[str, int] = {}
    for (signals, _), count in counts.items():
        for signal in signals:
            shown[signal] = shown.get(signal, 0) + count
    sure = dict.fromkeys(sorted(shown), 0.5)
    for _ in range(ROUNDS):
        right = dict.fromkeys(sure, 1.0)
        for (signals, wrong), count in counts.items():
            if wrong:
                whole = 1 - float(np.prod([1 - sure[s] for s in signals]))
                for signal in signals:
                    right[signal] += count * sure[signal] / whole
        sure = {s: right[s] / (shown[s] + 2) for s in sure}
    return sure


def calibrate(tables: Sequence[MadeTable] | None = None) -> Mapping[str, float]:
    """Return the precision of every signal, two digits, on clean and on spoilt tables.

    tables: other ones than `CALIBRATION`, for a test of how much the choice decides.
    """
    cases: list[tuple[Sequence[str], bool]] = []
    for made in tables or [make(np.random.default_rng(i)) for i, make in enumerate(CALIBRATION)]:
        target = target_of(made.frame, made.fixed, made.swaps)
        for seed in SEEDS:
            for share in SHARES:
                kinds = KINDS if share else {}
                dirty, truth = plant(target, kinds, share, seed)
                found = signals_of(find(dirty))
                cases += [(signals, place in truth) for place, signals in found.items()]
    return {
        signal: min(max(round(p, 2), round(1 - SURE_MAX, 2)), SURE_MAX)
        for signal, p in fit(cases).items()
    }


if __name__ == "__main__":
    for signal, p in calibrate().items():
        print(f'    "{signal}": {p:.2f},')
