"""The quality gate: rules on the metric table, judged by Great Expectations before training.

Great Expectations sees one row for each batch and never a row of data. Three answers are kept
apart: a rule holds, a rule is broken (the data's fault), a rule could not be judged (ours).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape, unescape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from checks.suites.data_docs import publish_docs
from checks.suites.gate_rules import TO_GX, GateRules, Severity, plan_expectations
from checks.suites.metric_table import WHOLE
from checks.suites.suite_file import import_gx, read_suite, write_atomically, write_suite

FROM_GX: Mapping[str, Severity] = {value: key for key, value in TO_GX.items()}
COMPLETE = {"result_format": "COMPLETE", "unexpected_index_column_names": ["batch"]}
SHOWN, SITE = 3, "gate"
NOTHING = dict.fromkeys(("class_count", "missing_label_frac"), "labels")  # what makes them null
VIEW = {"view": {"module_name": "checks.suites.data_docs_view", "class_name": "PageView"}}
SUITE_FILE, GATE_FILE, DOCS_FOLDER = "gate_suite.json", "gate.json", "data_docs"


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One judged rule. batches: the values that broke it, by name of the batch.

    judged: false where there was no value to judge, as of classes in a set without labels; such a
    rule passes.
    """

    rule: str
    expectation: str
    column: str | None
    severity: Severity
    passed: bool
    batches: Mapping[str, float | None]
    sentence: str
    judged: bool = True


@dataclass(frozen=True, slots=True)
class EngineError:
    """A rule that could not be judged: a fault of the suite or the engine, not of the data."""

    rule: str
    expectation: str
    message: str


@dataclass(frozen=True, slots=True)
class GateOutcome:
    """What the gate says. passed: no error is broken and every rule could be judged."""

    passed: bool
    results: tuple[RuleResult, ...]
    engine_errors: tuple[EngineError, ...]
    suite: str

    @property
    def failures(self) -> tuple[RuleResult, ...]:
        """Broken rules that close the gate."""
        return tuple(one for one in self.results if not one.passed and one.severity == "error")

    @property
    def warnings(self) -> tuple[RuleResult, ...]:
        """Broken rules that do not."""
        return tuple(one for one in self.results if not one.passed and one.severity != "error")

    def to_json(self) -> str:
        """Return gate.json: the fields of this object, equal for equal input."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, default=str) + "\n"


def run_gate(
    metric_table: pl.DataFrame, rules: Mapping[str, Any], out: Path,
    suite_path: Path | None = None, *, history: Path | None = None,
) -> GateOutcome:  # fmt: skip
    """Judge `metric_table`; write gate.json, gate_suite.json and data_docs/ into `out`.

    Args:
        metric_table: see `checks.suites.metric_table.build`.
        rules: the mapping `[gate]`, see `GateRules`.
        out: the run folder.
        suite_path: a suite of the user's that is judged in place of the rules.
        history: the data_docs/ of an earlier run, whose validations are listed too.

    Raises:
        UnknownNameError: a rule or a column that is none, with the nearest one.
        ContractError: a suite that cannot be read, or that would lose expectations.
    """
    if suite_path is None:
        suite_path = out / SUITE_FILE
        expectations = list(plan_expectations(GateRules.read(rules), metric_table.columns))
        write_suite(suite_path, expectations)
        # each condition on a row costs the engine all columns that it is given
        asked = {str(one["kwargs"]["column"]) for one in expectations}
        metric_table = metric_table.select("batch", *sorted(asked))
    suite = read_suite(suite_path)
    with TemporaryDirectory(prefix="gristmill_gate_") as folder:
        site = Path(folder)
        raw = _validate(metric_table, suite, site)
        outcome = _read_outcome(raw, suite_path.name)
        summary = {
            "run": out.resolve().name,
            "passed": outcome.passed,
            "rules": len(outcome.results),
            "failures": [one.sentence for one in outcome.failures],
            "warnings": [one.sentence for one in outcome.warnings],
            "engine_errors": [f"{one.rule}: {one.message}" for one in outcome.engine_errors],
        }
        publish_docs(site, out / DOCS_FOLDER, summary, history=history)
    write_atomically(out / GATE_FILE, outcome.to_json())
    return outcome


def _validate(metric_table: pl.DataFrame, suite: Any, site: Path) -> list[Any]:
    """Run a Checkpoint, have its pages written to `site`, and return its results."""
    gx = import_gx()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(site)}
    sections = {"expectations": VIEW, "validations": VIEW}
    context.add_data_docs_site(
        SITE,
        {"class_name": "SiteBuilder", "store_backend": store, "site_section_builders": sections},
    )
    asset = context.data_sources.add_pandas("run").add_dataframe_asset("metric_table")
    validation = gx.ValidationDefinition(
        name="gate",
        data=asset.add_batch_definition_whole_dataframe("all batches"),
        suite=context.suites.add(suite),
    )
    checkpoint = gx.Checkpoint(
        name="gate",
        validation_definitions=[context.validation_definitions.add(validation)],
        result_format=COMPLETE,
    )
    ran = context.checkpoints.add(checkpoint).run(
        batch_parameters={"dataframe": _to_pandas(metric_table)}
    )
    context.build_data_docs([SITE], build_index=False)  # the index is ours
    return [one.to_json_dict() for run in ran.run_results.values() for one in run.results]


def _to_pandas(metric_table: pl.DataFrame) -> Any:
    """Python floats, and names escaped: the pages of the docs show them as they come."""
    import pandas as pd  # noqa: PLC0415

    numbers = metric_table.with_columns(pl.selectors.numeric().cast(pl.Float64))
    names = {"batch": [escape(name) for name in metric_table["batch"]]}
    return pd.DataFrame({name: numbers[name].to_list() for name in numbers.columns} | names)


def _read_outcome(raw: Sequence[Mapping[str, Any]], suite: str) -> GateOutcome:
    results, errors = [], []
    for one in raw:
        message = _find_exception(one.get("exception_info"))
        if message is None:
            results.append(_read_result(one))
        else:
            errors.append(EngineError(_name_rule(one), _type_of(one), message))
    results.sort(key=lambda result: (result.rule, result.expectation))
    errors.sort(key=lambda error: (error.rule, error.expectation))
    passed = not errors and all(one.passed or one.severity != "error" for one in results)
    return GateOutcome(passed, tuple(results), tuple(errors), suite)


def _find_exception(info: object) -> str | None:
    """Exceptions come flat, or nested by the id of the metric that raised."""
    if not isinstance(info, Mapping):
        return None
    if info.get("raised_exception"):
        return " ".join(str(info.get("exception_message")).split())
    nested = (_find_exception(value) for value in info.values())
    return next((message for message in nested if message is not None), None)


def _type_of(one: Mapping[str, Any]) -> str:
    return str(one["expectation_config"]["type"])


def _name_rule(one: Mapping[str, Any]) -> str:
    config = one["expectation_config"]
    column = config["kwargs"].get("column")
    named = (config.get("meta") or {}).get("rule")
    return str(named or (f"{config['type']}:{column}" if column else config["type"]))


def _read_result(one: Mapping[str, Any]) -> RuleResult:
    config, result = one["expectation_config"], one.get("result") or {}
    column, passed = config["kwargs"].get("column"), bool(one["success"])
    broken = {
        unescape(str(row["batch"])): _to_number(row.get(column))
        for row in result.get("unexpected_index_list") or ()
        if "batch" in row
    }
    return RuleResult(
        rule=_name_rule(one),
        expectation=_type_of(one),
        column=column,
        severity=FROM_GX.get(str(config.get("severity")), "error"),
        passed=passed,
        batches={} if passed else dict(sorted(broken.items())),
        sentence=_say(one, {} if passed else broken),
        judged=_is_judged(result),
    )


def _is_judged(result: Mapping[str, Any]) -> bool:
    """Say whether any batch had a value; of an expectation that counts none, yes."""
    counted = result.get("element_count"), result.get("missing_count")
    return None in counted or counted[0] != counted[1]


def _to_number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _say(one: Mapping[str, Any], broken: Mapping[str, float | None]) -> str:
    """One line for a person: what was asked, and what was seen in the worst batches."""
    kwargs, rule = one["expectation_config"]["kwargs"], _name_rule(one)
    sides = (("at least", "min_value"), ("at most", "max_value"))
    bounds = [f"{word} {kwargs[key]:g}" for word, key in sides if kwargs.get(key) is not None]
    asked = " and ".join(bounds) or _type_of(one)
    told = f"{kwargs['column']} must be {asked}" if bounds and kwargs.get("column") else asked
    if one["success"]:
        if _is_judged(one.get("result") or {}):
            return f"{rule}: {told}: holds"
        return f"{rule}: {told}: not judged, there are no {NOTHING.get(kwargs['column'], 'values')}"
    worst = sorted(broken.items(), key=lambda one: (one[1] or 0.0, one[0]))
    if kwargs.get("max_value") is not None:
        worst.reverse()
    shown = [f"{value:g} in {_name(batch)}" for batch, value in worst if value is not None]
    rest = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    observed = (one.get("result") or {}).get("observed_value")
    seen = ", ".join(shown[:SHOWN]) + rest or f"observed {observed}"
    return f"{rule}: {told}, but is {seen}"


def _name(batch: str) -> str:
    return "the whole set" if batch == WHOLE else repr(batch)
