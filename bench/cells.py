"""Wrong cells without rules: how many are found, how many made up, how sure the verdicts are.

beers and hospital have truth for every cell; adult gets errors of eight kinds at 1 %; the made
tables and the flights are tables that no weight was fitted on. Run it as
`python -m bench.cells --json`; `--calibrate` prints the precision of every signal instead.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from bench.cell_calibration import calibrate
from bench.cell_errors import ADULT_KINDS, KINDS, Kind, plant, target_of
from bench.cell_marking import mark_proposed, mark_random
from bench.cell_scores import (
    Place,
    Score,
    brier,
    call_wrong,
    judge,
    read_pair,
    reliability,
    score,
)
from bench.cell_tables import CALIBRATION, MadeTable
from bench.cell_tables_held_out import HELD_OUT
from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from checks.core.check import load_checks
from checks.metrics.cell_verdicts import PRECISION
from data.table_defects import LABEL, make_table_defects

F1_TARGETS = {"beers": (0.95, 0.97), "hospital": (0.85, 0.95)}  # without marks, with 20 rows
REAL_RATE_MAX, MADE_RATE_MAX, ADULT_F1, ADULT_KINDS_MIN = 0.01, 0.001, 0.8, 5.0
SEEDS, SHARE, FLIGHTS = range(5), 0.01, 40_000
ADULT_FIXED = {"education": ("education_num",), "education_num": ("education",)}
ADULT_SWAPS = (("workclass", "occupation"), ("education", "marital_status"), ("race", "sex"),
               ("relationship", "native_country"))  # fmt: skip
Figures = dict[str, Figure]


def share_called(table: pl.DataFrame) -> float:
    """Return the share of a clean table's cells that are called wrong."""
    return len(call_wrong(judge(table))) / (table.height * table.width)


def measure_pair(name: str) -> Figures:
    """Figures of a table with truth for every cell: without marks, with 20 rows, and clean."""
    dirty, clean, wrong = read_pair(find_shared_data() / "tables" / name)
    bare, marked = F1_TARGETS[name]
    load_checks()  # imports are no part of the detection
    begun = time.process_time()
    told = score(call_wrong(judge(dirty)), wrong)
    spent = time.process_time() - begun
    proposed = [mark_proposed(dirty, wrong, seed) for seed in SEEDS]
    drawn = [mark_random(dirty, wrong, seed) for seed in SEEDS]
    cells = clean.height * clean.width
    return {
        f"{name}_f1": Figure(told.f1, bare, "higher", told.wrong),
        f"{name}_precision": Figure(told.precision, None, "higher", told.called),
        f"{name}_recall": Figure(told.recall, None, "higher", told.wrong),
        f"{name}_f1_20_rows": _spread(proposed, marked),
        f"{name}_f1_20_random_rows": _spread(drawn, None),
        f"{name}_cpu": Figure(spent, None, "lower", 1, unit="CPU s"),
        f"{name}_clean_rate": Figure(share_called(clean), REAL_RATE_MAX, "lower", cells),
    }


def _spread(values: Sequence[float], target: float | None) -> Figure:
    return Figure(median(values), target, "higher", len(values), (min(values), max(values)))


def measure_adult() -> Figures:
    """F1 of each kind at 1 %: its real gaps, `?`, count apart; all else that is called counts."""
    table = pl.read_csv(find_shared_data() / "tables" / "adult" / "train.csv")
    income = table.get_column("income")
    target = target_of(table.drop("income"), ADULT_FIXED, ADULT_SWAPS)
    figures: Figures = {}
    for name, kind in ADULT_KINDS.items():
        scores = [_score_adult(name, kind, target, income, seed) for seed in SEEDS[:3]]
        figures[f"adult_{name}_f1"] = Figure(
            median(s.f1 for s in scores), ADULT_F1, "higher", scores[0].wrong,
            (min(s.f1 for s in scores), max(s.f1 for s in scores)),
        )  # fmt: skip
    enough = sum(one.value >= ADULT_F1 for one in figures.values())
    return {**figures, "adult_kinds_from_0.8": Figure(enough, ADULT_KINDS_MIN, "higher", 8)}


def _score_adult(name: str, kind: Kind, target: object, income: pl.Series, seed: int) -> Score:
    dirty, truth = plant(target, {name: kind}, SHARE, seed)  # type: ignore[arg-type]
    dirty = dirty.with_columns(income)
    called = call_wrong(judge(dirty, "income"))
    gaps = {(row, column) for row, column in called if dirty[column][row] == "?"} - set(truth)
    return score(called - gaps, set(truth))


def measure_made() -> Figures:
    """Figures of tables that no weight was fitted on, and the rate on all made ones while clean."""
    rates = []
    for make in (*CALIBRATION, *HELD_OUT):
        made = make(np.random.default_rng(77))
        rates.append(share_called(made.frame.select(pl.all().cast(pl.String))))
    figures: Figures = {
        "made_clean_rate": Figure(float(np.mean(rates)), MADE_RATE_MAX, "lower", len(rates)),
        "made_clean_rate_worst": Figure(max(rates), None, "lower", len(rates)),
    }
    cases: list[tuple[float, bool]] = []
    squares, bare, marked = [], [], []
    for make in HELD_OUT:
        made = make(np.random.default_rng(50))
        dirty, wrong = _plant(made)
        confidence = judge(dirty)
        told = score(call_wrong(confidence), wrong)
        figures[f"{made.name}_f1"] = Figure(told.f1, None, "higher", told.wrong)
        cases += [(p, place in wrong) for place, p in confidence.items()]
        squares.append(brier(confidence, wrong))
        bare.append(told.f1)
        marked.append(median(mark_proposed(dirty, wrong, seed) for seed in SEEDS))
    figures["held_out_f1"] = Figure(float(np.mean(bare)), None, "higher", len(bare))
    figures["held_out_f1_20_rows"] = Figure(float(np.mean(marked)), None, "higher", len(marked))
    confidence, wrong = judge_flights()
    told = score(call_wrong(confidence), wrong)
    figures["flights_f1"] = Figure(told.f1, None, "higher", told.wrong)
    cases += [(p, place in wrong) for place, p in confidence.items()]
    figures["held_out_brier"] = Figure(float(np.mean(squares)), None, "lower", len(HELD_OUT))
    for sure, right, n in reliability(cases):
        figures[f"wrong_among_confidence_{sure:.2f}"] = Figure(right, None, "higher", n)
    return figures


def _plant(made: MadeTable) -> tuple[pl.DataFrame, set[Place]]:
    target = target_of(made.frame, made.fixed, made.swaps)
    dirty, truth = plant(target, KINDS, SHARE, 11)
    return dirty, set(truth)


def judge_flights() -> tuple[Mapping[Place, float], set[Place]]:
    """Return the verdicts on the demo's flights with its defects, and the cells that are wrong."""
    with tempfile.TemporaryDirectory() as folder:
        truth = make_table_defects(Path(folder), seed=20261123, rows=FLIGHTS)
        parts = [pl.read_csv(path, infer_schema=False) for path in sorted(Path(folder).glob("*"))]
    starts, start = {}, 0
    for month, part in enumerate(parts, 1):
        starts[f"flights_{month:02d}.csv"], start = start, start + part.height
    table = pl.concat(parts)
    wrong: set[Place] = set()
    for uri, row, column, defect in truth.select("uri", "row", "column", "defect").iter_rows():
        names = ("origin", "dest") if defect == "swapped_fields" else (column,)
        wrong |= {(starts[uri] + row, name) for name in names if name in table.columns}
    return judge(table.drop("split"), LABEL), wrong


def measure() -> Figures:
    """Everything, real tables first."""
    pairs = [measure_pair(name) for name in F1_TARGETS]
    drift = max(abs(p - PRECISION.get(signal, 0.0)) for signal, p in calibrate().items())
    return {
        **pairs[0], **pairs[1], **measure_adult(), **measure_made(),
        "precision_table_off_by": Figure(drift, 0.0, "lower", len(PRECISION)),
    }  # fmt: skip


if __name__ == "__main__":
    if "--calibrate" in sys.argv[1:]:
        print("\n".join(f'    "{signal}": {p:.2f},' for signal, p in calibrate().items()))
    else:
        show(record("cells", measure()))
