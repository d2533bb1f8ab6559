"""The profile of a table: CPU seconds and peak memory of whole processes, beside other tools.

The table is `bench.mixed_table`. Rounds are interleaved, one side after the other; a ratio is the
median of the rounds' ratios, its interval the lowest to the highest. Run it as
`python -m bench.tables --json`. GRISTMILL_PEERS_TABLES names a Python with duckdb and skrub,
GRISTMILL_PEERS_YDATA one with ydata-profiling; without them their ratios are left out.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from bench.process import Cost, run_module, run_process
from bench.record import Figure, record, show

SEED, ROUNDS, FILES = 20261128, 3, 40
MANY = 1000  # values of a column, stripped texts aside, whose number is compared
RIVALS = Path(__file__).parent / "rival_tables.py"
PEERS = {"duckdb": "GRISTMILL_PEERS_TABLES", "skrub": "GRISTMILL_PEERS_TABLES",
         "ydata": "GRISTMILL_PEERS_YDATA"}  # fmt: skip
NUMBER = ("null", "nan", "inf", "number", "integer", "zero", "negative", "distinct")
TEXT = ("null", "empty", "blank", "placeholder", "untrimmed", "mojibake", "number", "unit",
        "distinct")  # fmt: skip


def profile(path: str, folder: str = "") -> None:
    """Profile the table at `path`, states kept in `folder`, and print how much is known of it."""
    from checks.metrics.tabular_parts import Reading, profile_parts  # noqa: PLC0415
    from checks.sources.source import open_source  # noqa: PLC0415
    from checks.sources.table_parts import divide_table, mark_parts  # noqa: PLC0415

    source = open_source(path, kind="table")
    parts, kept = divide_table(source), Path(folder) if folder else None  # type: ignore[arg-type]
    readings = [
        Reading(mark, part.lazy.collect_schema(), part.batches)
        for part, mark in zip(parts, mark_parts(parts, kept), strict=True)
    ]
    told = profile_parts(readings, label=None, folder=kept)
    statistics = 0
    for column in told.columns:
        names = [f"{name}_count" for name in (TEXT if column.dtype == "String" else NUMBER)]
        names += ["min", "max", "mean", "std", "length_min", "length_mean", "length_max"]
        statistics += sum(getattr(column, name) is not None for name in names)
    quantiles = {c.name: c.quantiles for c in told.columns if c.kind == "number"}
    distinct = {c.name: c.distinct_count for c in told.columns}
    print(json.dumps({"rows": told.row_count, "scans": told.scan_count, "statistics": statistics,
                      "quantiles": quantiles, "distinct": distinct}))  # fmt: skip


def check_exactness(path: str, answers: str) -> None:
    """Print how far quantiles and distinct counts in `answers` are from exact ones, at worst."""
    import polars as pl  # noqa: PLC0415

    told = json.loads(Path(answers).read_text())
    table = pl.read_parquet(path)
    worst = 0.0
    for name, quantiles in told["quantiles"].items():
        values = table[name].cast(pl.Float64, strict=False)
        values = values.filter(values.is_finite()).drop_nulls()
        for share, value in quantiles.items():
            exact = values.quantile(int(share[1:]) / 100, "lower")
            assert exact is not None
            worst = max(worst, abs(value - exact) / abs(exact) if exact else abs(value))
    counts = {name: table[name].drop_nulls().n_unique() for name in told["distinct"]}
    apart = max(
        abs(told["distinct"][n] / max(counts[n], 1) - 1) for n in counts if counts[n] > MANY
    )
    print(json.dumps({"quantiles": worst, "distinct": apart}))


def ask_rival(tool: str, path: Path, out: Path) -> Cost | None:
    """Return what another tool costs on the same file; None where it is not installed."""
    python = os.environ.get(PEERS[tool])
    if python is None:
        print(f"{PEERS[tool]} is not set: no ratio against {tool}", file=sys.stderr)
        return None
    return run_process([python, str(RIVALS), tool, str(path), str(out)])


def measure_scale(folder: Path) -> dict[str, Figure]:
    """Return cost and exactness of 1M and 5M rows, beside DuckDB's SUMMARIZE of 5M."""
    million, five = folder / "1m.parquet", folder / "5m.parquet"
    run_module("bench.mixed_table", str(million), "1000000", str(SEED))
    run_module("bench.mixed_table", str(five), "5000000", str(SEED))
    small = run_module("bench.tables", "profile", str(million))
    answers = folder / "answers.json"
    answers.write_text(json.dumps(small.told))
    off = run_module("bench.tables", "exactness", str(million), str(answers)).told
    ours, rivals = [], []
    for _ in range(ROUNDS):
        ours.append(run_module("bench.tables", "profile", str(five)))
        rivals.append(ask_rival("duckdb", five, folder / "out"))
    peak = max(one.peak_mb for one in ours)
    figures = {
        "profile, 5M x 25": _spread([one.cpu_s for one in ours], 12, "CPU s"),
        "peak, 5M x 25": Figure(peak, 400, "lower", ROUNDS, unit="MB"),
        "peak, 5M over 1M": Figure(peak / small.peak_mb, 1.25, "lower", ROUNDS, unit="x"),
        "statistics": Figure(ours[0].told["statistics"], 220, "higher", 1),
        "scans": Figure(ours[0].told["scans"], 2, "lower", 1),
        "worst error of a quantile, 1M": Figure(off["quantiles"], 0.01, "lower", 1),
        "worst error of a distinct count, 1M": Figure(off["distinct"], 0.05, "lower", 1),
    }  # fmt: skip
    return figures | _ratio("DuckDB SUMMARIZE / ours, 5M", 1, rivals, ours)


def measure_reports(folder: Path) -> dict[str, Figure]:
    """Return the cost of the command line with its HTML report on 100k rows, beside reports."""
    path = folder / "100k.parquet"
    run_module("bench.mixed_table", str(path), "100000", str(SEED))
    ours: list[Cost] = []
    rivals: dict[str, list[Cost | None]] = {"skrub": [], "ydata": []}
    for at in range(ROUNDS):
        run = folder / f"run{at}"
        ours.append(run_module("flows.app.cli", "profile", str(path), "--out", str(run)))
        for tool, costs in rivals.items():
            asked = at == 0 or tool == "skrub"  # the other one takes minutes
            costs.append(ask_rival(tool, path, folder / f"{tool}.html") if asked else None)
    size = (folder / "run0" / "report.html").stat().st_size
    figures = {
        "command with report, 100k x 25": _spread([one.cpu_s for one in ours], None, "CPU s"),
        "its peak": Figure(max(one.peak_mb for one in ours), None, "lower", ROUNDS, unit="MB"),
        "its report": Figure(size / 1e6, 1.5, "lower", 1, unit="MB"),
    }  # fmt: skip
    figures |= _ratio("skrub TableReport / ours, 100k", 3, rivals["skrub"], ours)
    return figures | _ratio("ydata minimal / ours, 100k", 10, rivals["ydata"], ours)


def measure_growth(folder: Path) -> dict[str, Figure]:
    """Return what one file added to 40 costs over profiling that one file alone."""
    many, one = folder / "many", folder / "one"
    many.mkdir()
    one.mkdir()
    for at in range(FILES + 1):
        run_module("bench.mixed_table", str(many / f"part-{at:03}.parquet"), "100000",
                   str(SEED + at))  # fmt: skip
    last = many / f"part-{FILES:03}.parquet"
    shutil.copy(last, one / last.name)
    last.rename(folder / "last")
    run_module("bench.tables", "profile", str(many), str(folder / "states"))
    ratios, grown, single = [], [], []
    for at in range(ROUNDS):
        shutil.copytree(folder / "states", folder / f"states{at}")
        (folder / "last").rename(last)
        grown.append(run_module("bench.tables", "profile", str(many), str(folder / f"states{at}")))
        last.rename(folder / "last")
        single.append(run_module("bench.tables", "profile", str(one), str(folder / f"alone{at}")))
        ratios.append(grown[-1].cpu_s / single[-1].cpu_s)
    return {
        "one file added to 40 / that file alone": Figure(
            median(ratios), 1.5, "lower", ROUNDS, (min(ratios), max(ratios)), "x"),
        "one file added to 40": _spread([cost.cpu_s for cost in grown], None, "CPU s"),
    }  # fmt: skip


def _spread(values: list[float], target: float | None, unit: str) -> Figure:
    return Figure(
        median(values), target, "lower", len(values), (min(values), max(values)), unit
    )  # fmt: skip


def _ratio(
    name: str, target: float, rivals: list[Cost | None], ours: list[Cost]
) -> dict[str, Figure]:
    told = [r.cpu_s / o.cpu_s for r, o in zip(rivals, ours, strict=True) if r is not None]
    if not told:
        return {}
    return {name: Figure(median(told), target, "higher", len(told), (min(told), max(told)), "x")}


def main() -> None:
    """Measure all of it and print the record."""
    if len(sys.argv) > 1 and sys.argv[1] in COMMANDS:
        COMMANDS[sys.argv[1]](*sys.argv[2:])
        return
    figures: dict[str, Figure] = {}
    for part in (measure_scale, measure_reports, measure_growth):
        with tempfile.TemporaryDirectory(prefix="gristmill_tables_") as name:
            figures |= part(Path(name))
    show(record("tables", figures))


COMMANDS: Mapping[str, Callable[..., None]] = {"profile": profile, "exactness": check_exactness}

if __name__ == "__main__":
    main()
