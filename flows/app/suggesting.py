"""The command `suggest`: from a table to a contract that a person reviews and puts in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from checks.core.errors import SourceError
from checks.metrics.tabular_parts import fold_states, profile_state
from checks.metrics.tabular_state import KEY
from checks.suites.contract_file import load_contract
from checks.suites.suggestion import suggest
from checks.suites.suggestion_diff import Change, compare_contracts
from checks.suites.suggestion_python import write_python
from checks.suites.suggestion_rule import Look, Suggestion
from checks.suites.suggestion_words import tell_evidence, tell_value
from checks.suites.suggestion_yaml import write_yaml
from flows.app.choosing import locate_contract
from flows.app.config import Config, ConfigError
from flows.app.intake import cache_of, one_look, open_data
from flows.app.lock import alone
from flows.app.progress import terminal_bar
from flows.app.store import SUGGESTIONS, RunFolder, writing
from flows.app.table_intake import open_parts
from flows.app.targets import open_target

Format = Literal["python", "yaml"]
SUFFIXES: dict[Format, tuple[str, ...]] = {"python": (".py",), "yaml": (".yaml", ".yml")}


@dataclass(frozen=True, slots=True)
class Suggested:
    """What `suggest` came to.

    file: of the contract. written: whether it was. in_use: the contract that `changes` compare
    with; None where there is none.
    """

    config: Config
    suggestion: Suggestion
    file: Path
    written: bool
    in_use: str | None = None
    changes: tuple[Change, ...] = ()


def suggest_contract(
    target: str, *, out: Path | None = None, against: str | None = None,
    form: Format | None = None, batch_rows: int | None = None, force: bool = False,
    **section: str | None,
) -> Suggested:  # fmt: skip
    """Write a contract for the table at `target`, and compare it with the one in use.

    Args:
        target: data, a gristmill.toml or a run folder.
        out: the file; by default contract.py (contract.yaml) beside the configuration. Where that
            is there already, nothing is written and it is taken for the contract in use.
        against: the contract in use; by default the one that the configuration names.
        form: Python or YAML, by default what `out` ends with.
        batch_rows: rows of the batches that the contract will judge; by default all rows.
        force: replace files.
        section: settings of [source], used only where `target` is data.

    Raises:
        ConfigError: `out` is there already or is named wrongly, `batch_rows` is below 1.
        SourceError: no table can be read at `target`.
        ContractError: the contract in use cannot be read.
    """
    if batch_rows is not None and batch_rows < 1:
        raise ConfigError([f"--batch-rows: no number of rows (got {batch_rows}). At least 1."])
    form = _tell_form(out, form)
    if out is not None and out.exists() and not force:
        raise _is_there([out])
    config, run = open_target(target, None, None, **section)
    file = out or config.base / f"contract{SUFFIXES[form][0]}"
    in_use = (
        against or locate_contract(config) or (str(file) if file.is_file() and not out else None)
    )
    contract = load_contract(in_use) if in_use else None
    with alone(run.path), one_look():
        look = look_at(config, run)
        suggestion = suggest(look, batch_rows=batch_rows, lookups=f"{file.stem}_values")
        changes = compare_contracts(contract, suggestion, look.rows) if contract else []
        run.write_json(SUGGESTIONS, {"rules": _tell_rules(suggestion)})
    written = force or not file.exists()
    if written:
        _write(suggestion, file, form, config.source.path, force=force)
    return Suggested(config, suggestion, file, written, in_use, tuple(changes))


def _tell_rules(suggestion: Suggestion) -> list[dict[str, Any]]:
    """The rules as the report's cards of columns tell them."""
    return [
        {"column": name, "rule": f"{rule.proposal.word} {tell_value(rule)}".strip(),
         "evidence": tell_evidence(rule), "false_alarm": rule.false_alarm}
        for rule in suggestion.rules for name in rule.proposal.columns
    ]  # fmt: skip


def look_at(config: Config, run: RunFolder) -> Look:
    """Return the table that `config` names, with its profile; a known file is not counted again.

    Raises:
        SourceError: there is no such data, or it is no table.
    """
    source: Any = open_data(config)
    if source.modality != "table":
        problem = "is no table of values: there are no columns to judge"
        raise SourceError(config.source.path, problem, got=source.kind)
    parts, folder = open_parts(config, run, source), cache_of(config, run)
    with terminal_bar("profile") as progress:
        state = fold_states(parts, folder, progress)
    profile = profile_state(state, parts, source.label, folder)
    return Look(profile, state.sample.drop(KEY), source.scan().select(source.columns))


def _tell_form(out: Path | None, form: Format | None) -> Format:
    """Python or YAML, as the file's name says it; `load_contract` goes by that."""
    if out is None:
        return form or "python"
    told = next((one for one, ends in SUFFIXES.items() if out.suffix in ends), None)
    if told is None or form not in (None, told):
        wanted = " or ".join(SUFFIXES[form]) if form else ".py, .yaml or .yml"
        raise ConfigError(
            [f"--out: its name says another form (got {out}). It ends with {wanted}."]
        )
    return told


def _write(suggestion: Suggestion, file: Path, form: Format, source: str, *, force: bool) -> None:
    write = write_python if form == "python" else write_yaml
    text = write(suggestion, source)
    tables = {file.parent / one.name: one.frame for one in suggestion.lookups}
    there = [path for path in tables if path.exists()]
    if there and not force:
        raise _is_there(there)
    for path, frame in tables.items():
        with writing(path) as stream:
            frame.write_parquet(stream)
    with writing(file) as stream:
        stream.write(text.encode())


def _is_there(paths: Sequence[Path]) -> ConfigError:
    return ConfigError([f"{path}: is there already. --force replaces it." for path in paths])
