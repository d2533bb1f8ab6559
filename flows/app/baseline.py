"""The approved baseline of a data set: stored from a run, read back, compared with each later run.

Later runs are compared with what a person approved, never with the run before: a slow drift would
pass such a chain of comparisons step by step.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from checks.core.errors import TableError
from checks.metrics.baseline import (
    Baseline,
    Named,
    collect_baseline,
    compare_columns,
    flatten,
    list_columns,
)
from checks.metrics.drift import WORDS, Limits
from checks.metrics.image_schema import METRICS_VERSION
from checks.metrics.tabular_measured import How, measure_classes, measure_columns
from checks.metrics.tabular_parts import fold_states
from checks.sources.own_files import BASELINE_FILE
from flows.app.config import Config, load_config
from flows.app.intake import cache_of, open_data, read_roles, read_table_profile
from flows.app.store import RunFolder, StoreError, writing
from flows.app.table_intake import open_parts, refuse_changed

FILE = BASELINE_FILE
LEFT_OUT = ("identifier", "datetime")  # they grow by nature
APPROVE = "gristmill baseline approve RUN --out {file}"


def approve(run_path: Path, out: Path | None = None) -> tuple[Path, Baseline]:
    """Store what the columns of a run look like as the baseline of later runs.

    Args:
        run_path: the run folder; its metrics are read, of a table the states of its files.
        out: the file; baseline.json beside the configuration by default.

    Raises:
        StoreError: it is no run folder, nothing is measured yet, the data of a table has changed
            since, or the file cannot be written.
    """
    run = RunFolder(run_path)
    config = run.read_config()
    made = describe(config, run)
    path = out or Path(os.path.normpath(config.locate(FILE)))
    with writing(path) as file:
        file.write(made.to_json().encode())
    return path, made


def describe(config: Config, run: RunFolder) -> Baseline:
    """Return the baseline that a run would be.

    Raises:
        StoreError: nothing is measured yet, or the data of a table has changed since.
    """
    profile = run.read_json("profile.json")
    if not profile:
        raise StoreError(str(run.path), "nothing is measured yet", advice="Run it first.")
    wanted: dict[str, How] = {}
    source = open_data(config)
    if source.modality == "table":
        refuse_changed(config, run, source)
        kinds = {column.name: column.kind for column in read_table_profile(run).features}
        wanted = {name: _reading(kind) for name, kind in kinds.items() if kind not in LEFT_OUT}
    columns = list(read_columns(config, run, source, wanted))
    measured = datetime.fromtimestamp(run.file("profile.json").stat().st_mtime, UTC)
    about = {
        "run": run.path.resolve().name, "source": config.source.path,
        "modality": profile.get("modality"), "samples": profile.get("samples"),
        "splits": profile.get("splits"), "measured": measured.isoformat(timespec="seconds"),
        "read_as": wanted, "gristmill": version("gristmill"),
        "metrics_version": profile.get("metrics_version"),
    }  # fmt: skip
    return collect_baseline(columns, about)


def find_baseline(place: Path) -> Path:
    """Return the file that a person means: the one that a configuration or a run compares with.

    place: a baseline, a configuration, or a run folder. Where [drift] names none, and where there
    is no such configuration, it is baseline.json beside it, which `approve` writes.

    Raises:
        ConfigError: the configuration is wrong.
    """
    if place.suffix == ".toml":
        config = load_config(place) if place.is_file() else None
    elif (place / "config.json").is_file():
        config = RunFolder(place).read_config()
    else:
        return place
    if config is None:
        return place.with_name(FILE)
    return Path(os.path.normpath(config.locate(config.drift.baseline or FILE)))


def load(path: Path) -> Baseline:
    """Return the baseline in the file `path`.

    Raises:
        StoreError: there is no such file.
        TableError: it holds no baseline, or one that was changed by hand.
    """
    try:
        return Baseline.from_json(path.read_text("utf-8"), str(path))
    except OSError as refused:
        advice = f"Approve a run first: {APPROVE.format(file=path)}."
        raise StoreError(str(path), "no such baseline", advice=advice) from refused
    except UnicodeDecodeError as broken:
        raise TableError(str(path), "no baseline", got=str(broken)) from broken


def measure_drift(config: Config, run: RunFolder, source: Any) -> Mapping[str, Any] | None:
    """Compare a run with the approved baseline: drift.parquet, drift.json; None without one.

    Returns:
        baseline (what is known of it, and its digest), limits, columns (see `compare_baseline`),
        new (columns that the baseline does not know), note (why nothing was compared, or None).

    Raises:
        TableError: the baseline is none, or was changed by hand.
        StoreError: the disk is full or refuses.
    """
    asked = config.drift
    if asked.baseline is None:
        return None
    path = config.locate(asked.baseline)
    if not path.is_file():
        how = APPROVE.format(file=asked.baseline)
        absent = f"drift: {asked.baseline} is not there, so nothing was compared. Approve: {how}"
        return _store(run, {"baseline": None, "columns": [], "new": [], "note": absent})
    baseline = load(path)
    limits = Limits(asked.psi_moderate, asked.psi_large, asked.ratio_moderate, asked.ratio_large,
                    asked.moved_frac_min, asked.false_alarm)  # fmt: skip
    wanted = baseline.about.get("read_as") or {}
    columns = read_columns(config, run, source, wanted)
    note: str | None = None
    if source.modality == "image" and baseline.about.get("metrics_version") != METRICS_VERSION:
        columns = (column for column in columns if column[0] == "class")
        note = (
            f"drift: {asked.baseline} was measured by another version of the metrics, so only the "
            f"classes are compared. Approve anew: {APPROVE.format(file=asked.baseline)}"
        )
    rows = compare_columns(baseline, columns, limits)
    told = {"file": asked.baseline, "digest": baseline.digest, **baseline.about}
    return _store(run, {
        "baseline": told, "limits": asked.model_dump(exclude={"baseline"}), "columns": rows,
        "new": _list_new(run, baseline) if wanted else [], "note": note,
    })  # fmt: skip


def read_columns(
    config: Config, run: RunFolder, source: Any, wanted: Mapping[str, How]
) -> Iterator[Named]:
    """Yield what is compared: metrics of images or columns of a table, and the classes.

    Args:
        config: names the data.
        run: a run that has been profiled.
        source: the data; of a table only the states are read, which hold no row.
        wanted: columns of a table and how each is read.
    """
    if source.modality == "image":
        samples, metrics = run.read_table("samples"), run.read_table("metrics")
        sizes = samples.select("sample_id", "byte_size")
        measured = metrics.join(sizes, on="sample_id", how="left", coalesce=True)
        yield from list_columns({"metric": measured}, samples.select("split", "label"))
        return
    state = fold_states(open_parts(config, run, source), cache_of(config, run))
    for name, values in measure_columns(state, wanted):
        yield "column", name, None, values
    if source.label is not None:
        roles = read_roles(config, source.count_roles())
        for (split,), part in roles.group_by("split", maintain_order=True):
            counts = part.group_by("label").agg(pl.sum("count"))
            yield "class", "label", split, measure_classes(dict(counts.iter_rows()))


def _reading(kind: str) -> How:
    return "number" if kind == "number" else "length" if kind == "text" else "category"


def _list_new(run: RunFolder, baseline: Baseline) -> list[str]:
    """Columns of a table that the baseline does not know."""
    known = {column.name for column in baseline.columns}
    told = (column for column in read_table_profile(run).features if column.kind not in LEFT_OUT)
    return sorted(column.name for column in told if column.name not in known)


def _store(run: RunFolder, told: dict[str, Any]) -> Mapping[str, Any]:
    rows = told["columns"]
    told["words"] = {word: sum(1 for row in rows if row["word"] == word) for word in WORDS[::-1]}
    with writing(run.file("drift.parquet")) as file:
        flatten(rows).write_parquet(file)
    run.write_json("drift.json", told)
    return told
