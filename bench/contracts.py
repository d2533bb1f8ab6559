"""34 rules over a million rows with the reasons of each row, against Great Expectations.

The table is `bench.mixed_table`, the contract `bench.mixed_contract`; each side is a process of its
own, from the start of Python to the reasons written, its CPU seconds those of the whole process.
Beside them five times the rows, and the gate's step over metric tables of few and of many batches.
Run it as `python -m bench.contracts --json`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from bench.process import run_module
from bench.record import Figure, record, show

ROWS, ROUNDS, SEED = 1_000_000, 3, 20261128
CPU_TARGET_S, PEAK_TARGET_MB, SCANS_TARGET, RATIO_TARGET, GATE_TARGET_S = 2.6, 550, 2, 10, 0.5
RULES = 34
BATCHES = (1, 40, 400)


def judge(table: str, reasons: str) -> None:
    """Judge `table`, write the reasons of its rows, and print what was found."""
    import polars as pl  # noqa: PLC0415 - the parent stays small

    from checks.suites.contract import judge_table, load_contract  # noqa: PLC0415

    contract = load_contract("bench/mixed_contract.py:Mixed")
    verdict = judge_table(pl.scan_parquet(table), contract)
    verdict.list_reasons().write_parquet(reasons)
    failures = {f"{one.check_id} {one.column}": one.failures for one in verdict.counts}
    print(json.dumps({"scans": verdict.scans, "failures": failures}))


def judge_gate(batches: str) -> None:
    """Run the gate over a metric table of `batches` batches and print its CPU after imports."""
    import polars as pl  # noqa: PLC0415

    from checks.suites.gate import run_gate  # noqa: PLC0415
    from checks.suites.suite_file import import_gx  # noqa: PLC0415

    rows = int(batches) + 1
    names = [f"train: part-{i:05}.parquet" for i in range(rows - 1)]
    counts = {"row_count": 1e6, "class_count": 2.0, "unreadable_frac": 0.0, "leak_rate": 0.0,
              "missing_label_frac": 0.0}  # fmt: skip
    counts |= {f"column_{i}__null_frac": 0.01 for i in range(50)}
    table = pl.DataFrame({"batch": ["all", *names], "split": ["all"] * rows}).with_columns(
        pl.lit(value).alias(name) for name, value in counts.items()
    )
    import_gx()
    with tempfile.TemporaryDirectory() as folder:
        before = os.times()
        run_gate(table, {}, Path(folder))
        after = os.times()
    print(json.dumps({"cpu_s": after.user + after.system - before.user - before.system}))


def compare(folder: Path) -> dict[str, Figure]:
    """Return the figures of the contract beside Great Expectations'."""
    table, reasons = str(folder / "table.parquet"), str(folder / "reasons.parquet")
    run_module("bench.mixed_table", table, str(ROWS), str(SEED))
    ours = [run_module("bench.contracts", "judge", table, reasons) for _ in range(ROUNDS)]
    theirs = run_module("bench.rival_gx", table)
    run_module("bench.mixed_table", table, str(5 * ROWS), str(SEED))
    more = run_module("bench.contracts", "judge", table, reasons)
    cpu, found = median(one.cpu_s for one in ours), ours[0].told["failures"]
    agreed = sum(found[name] == count for name, count in theirs.told["failures"].items())
    spread = (min(one.cpu_s for one in ours), max(one.cpu_s for one in ours))
    return {
        f"{RULES} rules, 1M rows": Figure(cpu, CPU_TARGET_S, "lower", ROUNDS, spread, "CPU s"),
        "peak": Figure(max(one.peak_mb for one in ours), PEAK_TARGET_MB, "lower", ROUNDS,
                       unit="MB"),
        "scans": Figure(ours[0].told["scans"], SCANS_TARGET, "lower", 1),
        f"{RULES} rules, 5M rows": Figure(more.cpu_s, None, "lower", 1, unit="CPU s"),
        "peak, 5M rows": Figure(more.peak_mb, None, "lower", 1, unit="MB"),
        "GX COMPLETE": Figure(theirs.cpu_s, None, "lower", 1, unit="CPU s"),
        "GX COMPLETE peak": Figure(theirs.peak_mb, None, "lower", 1, unit="MB"),
        "GX COMPLETE / ours": Figure(theirs.cpu_s / cpu, RATIO_TARGET, "higher", 1),
        "rules whose failures equal GX's": Figure(agreed, RULES, "higher", RULES),
    }  # fmt: skip


def main() -> None:
    """Measure both sides, then the gate, and print the record."""
    if len(sys.argv) > 1 and sys.argv[1] in COMMANDS:
        COMMANDS[sys.argv[1]](*sys.argv[2:])
        return
    with tempfile.TemporaryDirectory(prefix="gristmill_contracts_") as name:
        figures = compare(Path(name))
    for batches in BATCHES:
        rounds = [run_module("bench.contracts", "gate", str(batches)) for _ in range(ROUNDS)]
        cpu = [one.told["cpu_s"] for one in rounds]
        figures[f"gate step, {batches} batches"] = Figure(
            median(cpu), GATE_TARGET_S, "lower", ROUNDS, (min(cpu), max(cpu)), "CPU s"
        )
    show(record("contracts", figures))


COMMANDS: Mapping[str, Callable[..., None]] = {"judge": judge, "gate": judge_gate}

if __name__ == "__main__":
    main()
