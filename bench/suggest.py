"""Suggested rules: false alarms on clean batches, planted errors that are caught, and the cost.

Each table is halved at random five times (seeded, rows in their order). Rules are suggested from
one half for batches of half of the other's rows, written as the file that a user has, and read
back. Batches are drawn from the other half without replacement, since drawing with replacement
repeats keys by itself; beside it, with replacement and without the rules of uniqueness. Errors are
planted in 1 % of the rows of one column of a batch; they are caught if a rule fails that the clean
batch kept. A kind of error counts as caught in a table if it is in half of its columns and halves.
Run it as `python -m bench.suggest --json`.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bench.process import run_module
from bench.record import Figure, record, show
from bench.suggest_errors import KINDS, fitting, plant
from bench.suggest_tables import REAL, SEED, CleanTable, made
from checks.suites.contract import judge_table, load_contract
from checks.suites.contract_file import Contract
from checks.suites.contract_verdict import RuleCount
from checks.suites.suggestion import look_over, suggest
from checks.suites.suggestion_python import write_python
from checks.suites.suggestion_rule import Suggestion
from checks.suites.suggestion_schema import write_lookups

HALVES, BATCHES, ALARMS_TARGET, CAUGHT_TARGET = 5, 10, 0.01, 0.9
COST_ROWS = 1_000_000
Halves = tuple[pl.DataFrame, pl.DataFrame]


def halve(frame: pl.DataFrame, rng: np.random.Generator) -> Halves:
    """Return two random halves of the rows, each in the table's order."""
    order = rng.permutation(frame.height)
    half = frame.height // 2
    return frame[np.sort(order[:half])], frame[np.sort(order[half:])]


def learn(frame: pl.DataFrame, batch_rows: int, folder: Path) -> tuple[Suggestion, Contract]:
    """Suggest rules from `frame`, write them, and read them back as a user would."""
    suggestion = suggest(look_over(frame.lazy()), batch_rows=batch_rows)
    path = folder / "contract.py"
    path.write_text(write_python(suggestion, "bench"))
    write_lookups(suggestion.lookups, folder)
    return suggestion, load_contract(str(path))


def judge(frame: pl.DataFrame, contract: Contract) -> tuple[RuleCount, ...]:
    """Return how each rule fares on `frame`."""
    return judge_table(frame.lazy(), contract).counts


def draw(frame: pl.DataFrame, rows: int, rng: np.random.Generator, *, again: bool) -> pl.DataFrame:
    """Return a batch of `rows` rows in their order, with (`again`) or without replacement."""
    return frame[np.sort(rng.choice(frame.height, rows, replace=again))]


def measure_table(table: CleanTable, number: int) -> dict[str, Any]:
    """Return counts of one table: alarms of each way to draw, and the errors caught by kind."""
    rng = np.random.default_rng([SEED, number])
    told: dict[str, Any] = {"rules": 0, "alarms": 0, "again": 0, "again of": 0, "failed": [],
                            "foretold": 0.0, "caught": []}  # fmt: skip
    for _ in range(HALVES):
        measure_halves(table, halve(table.frame, rng), told, rng)
    return told


def measure_halves(
    table: CleanTable, halves: Halves, told: dict[str, Any], rng: np.random.Generator
) -> None:
    """Add to `told` what rules of the first half say of batches of the second."""
    ours, theirs = halves
    rows = theirs.height // 2
    with tempfile.TemporaryDirectory(prefix="gristmill_suggest_") as name:
        suggestion, contract = learn(ours, rows, Path(name))
        for _ in range(BATCHES):
            counts = judge(draw(theirs, rows, rng, again=False), contract)
            told["rules"] += len(counts)
            told["failed"] += [f"{one.check_id} {one.column}" for one in counts if not one.passed]
            plain = [one for one in judge(draw(theirs, rows, rng, again=True), contract)
                     if one.check_id != "contract:unique"]  # fmt: skip
            told["again of"] += len(plain)
            told["again"] += sum(not one.passed for one in plain)
        told["alarms"] = len(told["failed"])
        told["foretold"] += BATCHES * sum(rule.false_alarm for rule in suggestion.rules)
        told["caught"] += plant_all(table, theirs, rows, contract, rng)


def plant_all(
    table: CleanTable, frame: pl.DataFrame, rows: int, contract: Contract, rng: np.random.Generator
) -> Iterator[tuple[str, str, bool]]:
    """Yield kind, column and whether the planted errors were caught."""
    for kind in KINDS:
        for column in fitting(table, kind, rng):
            batch = draw(frame, rows, rng, again=False)
            before, after = (judge(one, contract) for one in
                             (batch, plant(batch, column, kind, rng)))  # fmt: skip
            failed = [{(one.check_id, one.column) for one in counts if not one.passed}
                      for counts in (before, after)]  # fmt: skip
            yield kind, column, bool(failed[1] - failed[0])


def bound(count: int, total: int) -> tuple[float, float]:
    """Return Wilson's interval, 95 %."""
    z, n, p = 1.959964, max(total, 1), count / max(total, 1)
    middle, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - spread) / (1 + z * z / n), (middle + spread) / (1 + z * z / n)


def share(count: int, total: int, target: float | None, better: Any) -> Figure:
    """Return a share with its interval."""
    return Figure(count / max(total, 1), target, better, total, bound(count, total))


def tell_caught(caught: Iterable[tuple[str, str, str, bool]]) -> dict[str, Figure]:
    """Return the share of (kind, table) caught in at least one column, of all cells, by kind."""
    told = list(caught)
    pairs: dict[tuple[str, str], list[bool]] = {}
    for table, kind, _column, found in told:
        pairs.setdefault((table, kind), []).append(found)
    most = sum(2 * sum(found) >= len(found) for found in pairs.values())
    figures = {
        "planted 1 % caught, (kind, table)": share(most, len(pairs), CAUGHT_TARGET, "higher"),
        "planted 1 % caught, (kind, column)": share(
            sum(found for *_, found in told), len(told), CAUGHT_TARGET, "higher"),
    }  # fmt: skip
    for kind in KINDS:
        own = [found for _, name, _, found in told if name == kind]
        figures[f"caught: {kind}"] = share(sum(own), len(own), None, "higher")
    return figures


def measure_all(tables: Iterable[CleanTable], *, wordy: bool = False) -> dict[str, Figure]:
    """Return the figures of some tables."""
    alarms = rules = again = again_of = 0
    foretold, caught = 0.0, []
    figures = {}
    for number, table in enumerate(tables):
        told = measure_table(table, number)
        figures[f"false alarms, {table.name}"] = share(told["alarms"], told["rules"], None, "lower")
        alarms, rules = alarms + told["alarms"], rules + told["rules"]
        again, again_of = again + told["again"], again_of + told["again of"]
        foretold += told["foretold"]
        caught += [(table.name, *one) for one in told["caught"]]
        if wordy:
            missed = Counter((kind, column) for kind, column, found in told["caught"] if not found)
            print(table.name, Counter(told["failed"]), missed, file=sys.stderr)
    return {
        "false alarms, (rule, batch)": share(alarms, rules, ALARMS_TARGET, "lower"),
        "false alarms, foretold": Figure(foretold / max(rules, 1), None, "lower", rules),
        "false alarms, with replacement": share(again, again_of, ALARMS_TARGET, "lower"),
        **figures,
        **tell_caught(caught),
    }


def cost(table: str, what: str) -> None:
    """Print the CPU seconds of profiling a table, and of suggesting where `what` says so."""
    look = look_over(pl.scan_parquet(table))
    before = os.times()
    if what == "suggest":
        suggest(look)
    after = os.times()
    print(json.dumps({"cpu_s": after.user + after.system - before.user - before.system}))


def measure_cost(folder: Path) -> dict[str, Figure]:
    """Return what suggesting costs beside profiling, whole processes over a million rows."""
    path = str(folder / "table.parquet")
    run_module("bench.mixed_table", path, str(COST_ROWS), str(SEED))
    profile = run_module("bench.suggest", "cost", path, "profile")
    both = run_module("bench.suggest", "cost", path, "suggest")
    return {
        "profile, 1M rows": Figure(profile.cpu_s, None, "lower", 1, unit="CPU s"),
        "suggest beyond the profile, 1M rows": Figure(both.told["cpu_s"], None, "lower", 1,
                                                      unit="CPU s"),
        "suggest / profile, whole processes": Figure(both.cpu_s / profile.cpu_s, None, "lower", 1),
        "peak of suggest": Figure(both.peak_mb, None, "lower", 1, unit="MB"),
    }  # fmt: skip


def main() -> None:
    """Measure real and made tables, then the cost, and print the record."""
    if len(sys.argv) > 1 and sys.argv[1] == "cost":
        cost(*sys.argv[2:])
        return
    wordy = "--wordy" in sys.argv
    figures = measure_all((make() for make in REAL), wordy=wordy)
    held = measure_all(made(), wordy=wordy)
    figures |= {f"made tables: {name}": one for name, one in held.items()
                if one.target is not None or name.endswith("foretold")}  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="gristmill_suggest_") as name:
        figures |= measure_cost(Path(name))
    show(record("suggest", figures))


if __name__ == "__main__":
    main()
