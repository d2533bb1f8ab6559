"""From metrics to findings, scores and the quality gate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from checks.core.cells import run_cell_checks
from checks.core.run import run_row_checks, run_set_checks
from checks.metrics.column_table import tabulate_columns
from flows.app.choosing import chosen_checks, locate_contract
from flows.app.config import Config
from flows.app.intake import read_table_profile
from flows.app.mistakes import own_modules
from flows.app.review_store import read_reviews
from flows.app.store import RunFolder, file_digest

FINDING_KEY = ["sample_id", "check_id", "column"]


def check_digests(config: Config, modality: str) -> list[object]:
    """Return what decides about findings: each check, its version and parameters, own modules."""
    checks = chosen_checks(config, modality)
    told = [[c.id, c.version, c.severity, c.action, sorted(c.params.items())] for c in checks]
    names = [*own_modules(config.checks.modules, config.base), locate_contract(config)]
    files = [Path(name.partition(":")[0]) for name in names if name]
    if config.contract.path is not None and modality == "table":
        files += _load_contract(config).tables
    return [told, [file_digest(path) for path in files if path.is_file()]]


def judge(
    config: Config, run: RunFolder, source: Any, known: Mapping[str, pl.DataFrame]
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, Any]]:
    """Return findings, scores (a row for every sample) and facts of set checks and contract.

    known: what was learnt or given about samples: features, probabilities, as far as there are.
    """
    samples, metrics = run.read_table("samples"), run.read_table("metrics")
    checks = chosen_checks(config, source.modality)
    kinds = {kind: [c for c in checks if c.kind == kind] for kind in ("row", "cell", "set")}
    found = [run_row_checks(_with_label(metrics, samples), kinds["row"])]
    tables = {"samples": samples.lazy(), "metrics": metrics.lazy()}
    told: Mapping[str, object] = {}
    if source.modality == "table":
        ids, profile = samples.select("uri", "row", "sample_id"), read_table_profile(run)
        columns = tabulate_columns(profile, source.content_columns)
        tables |= {"rows": _rows(source, ids), "columns": columns.lazy()}
        found.append(run_cell_checks(source.scan(), ids, profile, kinds["cell"]))
        if config.contract.path is not None:
            from checks.suites.contract import judge_contract  # noqa: PLC0415 - pandas is slow

            judged = judge_contract(source.scan(), ids, _load_contract(config))
            found.append(judged.findings)
            told = judged.facts
    tables |= {name: table.lazy() for name, table in known.items()}
    if (reviews := read_reviews(config, samples)) is not None:
        tables["reviews"] = reviews.lazy()
    outcome = run_set_checks(tables, kinds["set"])
    findings = pl.concat([*found, outcome.findings], how="diagonal_relaxed")
    return findings.sort(FINDING_KEY), outcome.scores, {**outcome.facts, **told}


def _rows(source: Any, ids: pl.DataFrame) -> pl.LazyFrame:
    """Return sample_id and the feature columns of a table, lazily; ids: uri, row, sample_id."""
    named: pl.LazyFrame = source.scan().join(ids.lazy(), on=["uri", "row"], how="inner")
    return named.select("sample_id", *source.content_columns)


def _with_label(metrics: pl.DataFrame, samples: pl.DataFrame) -> pl.LazyFrame:
    """Join the label to the metrics, for row checks that judge within a class."""
    labels = samples.select("sample_id", "label").lazy()
    return metrics.drop("label", strict=False).lazy().join(labels, on="sample_id", how="left")


def _load_contract(config: Config) -> Any:
    from checks.suites.contract import load_contract  # noqa: PLC0415 - pandas is slow

    return load_contract(locate_contract(config))


def run_gate(
    config: Config, run: RunFolder, source: Any, findings: pl.DataFrame,
    drift: Mapping[str, Any] | None = None,
) -> Mapping[str, Any]:  # fmt: skip
    """Run the quality gate over the metric table; it writes gate.json and data_docs.

    `drift`: what `flows.app.baseline.measure_drift` returned.
    """
    from checks.suites import gate, metric_table  # noqa: PLC0415 - great_expectations is slow

    ids = [check.id for check in chosen_checks(config, source.modality)]
    measured: Any = run.read_json("checks.json")["facts"]
    ids += [name for name in measured if name.startswith("contract:")]
    table = metric_table.build(
        run.read_table("samples"), run.read_table("metrics"), findings, source.modality,
        check_ids=ids, scan=source.scan() if source.modality == "table" else None,
        drift=drift["columns"] if drift and drift["baseline"] else None,
    )  # fmt: skip
    suite = config.locate(config.gate.suite) if config.gate.suite else None
    rules = config.gate.model_dump(exclude={"suite"}, exclude_defaults=True)
    outcome = gate.run_gate(table, rules, run.path, suite)
    return {"passed": outcome.passed, "failures": [one.sentence for one in outcome.failures]}
