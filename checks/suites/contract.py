"""A user's contract for a table: a pandera model or its YAML form, as findings with row reasons.

What is declared (null, type, set, range, pattern, length, uniqueness) becomes expressions of one
polars pass; checks written in Python run in pandera, batch by batch on full data. Rows are never
dropped here.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import pandera.polars as pa
import polars as pl
import yaml  # type: ignore[import-untyped]
from pandera.config import ValidationDepth, config_context
from pandera.errors import SchemaErrors

from checks.core.cells import BATCH_ROWS, FINDING_SCHEMA, KEY, run_cell_checks
from checks.core.check import CellRule, Check
from checks.core.errors import ContractError

ID_PREFIX = "contract:"
_FORMS = "It must be file.py, file.py:Class, module:Class, or a .yaml file."


@dataclass(frozen=True, slots=True)
class Contract:
    """A readable contract: where it stands and the pandera schema that it gives."""

    where: str
    schema: Any


def load_contract(path_or_module: str) -> Contract:
    """Return the contract at `file.py`, `file.py:Class`, `module:Class` or `file.yaml`.

    A Python contract is the user's own code and is run. YAML is read by `yaml.safe_load`.

    Raises:
        ContractError: the file or class is not there, does not load, or is no pandera contract.
    """
    place, _, name = path_or_module.partition(":")
    if place.endswith((".yaml", ".yml")):
        return Contract(place, _read_yaml(place))
    module = _load_file(place) if place.endswith(".py") else _load_module(place, path_or_module)
    models = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, pa.DataFrameSchema)
        or (inspect.isclass(value) and issubclass(value, pa.DataFrameModel)
            and value.__module__ == module.__name__)
    }  # fmt: skip
    if name and name not in models:
        near = get_close_matches(name, models, n=1, cutoff=0.5)
        advice = f"Did you mean {near[0]!r}?" if near else f"It has: {', '.join(models) or 'none'}."
        raise ContractError(path_or_module, "no such contract in it", got=name, advice=advice)
    if not name and len(models) != 1:
        told = ", ".join(sorted(models)) or "none"
        raise ContractError(place, f"holds {len(models)} pandera contracts ({told})",
                            advice=f"Name one: {place}:Class.")  # fmt: skip
    found = models[name] if name else next(iter(models.values()))
    try:
        schema = found if isinstance(found, pa.DataFrameSchema) else found.to_schema()
    except Exception as broken:
        raise ContractError(path_or_module, f"is no valid pandera contract: {broken}") from broken
    return Contract(path_or_module, schema)


def _read_yaml(place: str) -> Any:
    from pandera.io import polars_io  # noqa: PLC0415 - slow, and only YAML needs it

    try:
        plain = yaml.safe_load(Path(place).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as broken:
        told = str(broken).replace("\n", " ")
        raise ContractError(place, f"cannot be read as YAML: {told}") from broken
    if not isinstance(plain, dict) or not isinstance(plain.get("columns"), dict):
        raise ContractError(place, "has no `columns` mapping, as pandera's YAML form has")
    try:
        return polars_io.deserialize_schema(plain)  # type: ignore[no-untyped-call]
    except Exception as broken:
        raise ContractError(place, f"is no valid pandera contract: {broken}") from broken


def _load_file(place: str) -> ModuleType:
    path = Path(place)
    if not path.is_file():
        raise ContractError(place, "no such contract file", advice="Check the path.")
    spec = importlib.util.spec_from_file_location(f"gristmill_contract_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as broken:
        raise ContractError(place, f"does not load: {type(broken).__name__}: {broken}") from broken
    return module


def _load_module(place: str, given: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except (ImportError, ValueError) as broken:
        raise ContractError(given, f"no such module: {broken}", allowed=_FORMS) from broken


def run_contract(
    scan: pl.LazyFrame, ids: pl.DataFrame, contract: Contract, *, batch_rows: int = BATCH_ROWS
) -> pl.DataFrame:
    """Return a finding for every cell (or row) that breaks the contract, sorted by key.

    Args:
        scan: uri, row, then the data columns. Text columns are read as the contract's types, an
            empty text as null, so that a CSV and its Parquet twin are judged alike.
        ids: uri, row, sample_id.
        contract: what `load_contract` returned.
        batch_rows: rows in memory at a time. A check written in Python sees one batch at a time;
            if it answers for a batch as a whole, the finding stands at the batch's first row.

    Raises:
        ContractError: a required column is missing, or one of the contract's own checks raised.
    """
    types = scan.collect_schema()
    columns = _columns(contract, list(types)[2:])
    repeated = _repeated(scan, contract.schema, columns)
    rules: list[tuple[str, CellRule]] = []
    for name, column in columns.items():
        rules += _compile(name, column, types[name], repeated.get((name,)))
    together = tuple(contract.schema.unique or ())
    if together in repeated and len(together) > 1:
        cells = pl.struct([_typed(n, columns.get(n), types[n]) for n in together])
        flagged = _among(cells, repeated[together])
        told = f"the same {', '.join(together)} as another row"
        rules.append(("unique", CellRule(together[0], flagged, told)))
    found = run_cell_checks(scan, ids, None, _as_checks(rules), batch_rows=batch_rows)
    rest = _rest(contract.schema, columns)
    if rest is None:
        return found
    parts = [found]
    casts = [_typed(n, c, types[n]).alias(n) for n, c in columns.items()]
    batches = scan.collect_batches(chunk_size=batch_rows, maintain_order=True, engine="streaming")
    for batch in batches:
        keyed = batch.join(ids, on=["uri", "row"], how="inner", maintain_order="left")
        parts.append(_validate(keyed.with_columns(casts), rest, contract.where))
    return pl.concat(parts).unique(KEY, keep="first", maintain_order=True).sort(KEY)


def _columns(contract: Contract, names: list[str]) -> dict[str, Any]:
    """The contract's columns that the table has."""
    found: dict[str, Any] = {}
    for name, column in contract.schema.columns.items():
        matched = column.get_regex_columns(pl.DataFrame(schema=names)) if column.regex else [name]
        present = [n for n in matched if n in names]
        if not present and column.required:
            near = get_close_matches(name, names, n=1, cutoff=0.5)
            advice = f"Did you mean {near[0]!r}?" if near else f"It has: {', '.join(names)}."
            raise ContractError(contract.where, "the table lacks a required column", got=name,
                                advice=advice)  # fmt: skip
        found |= dict.fromkeys(present, column)
    return found


def _typed(name: str, column: Any, dtype: pl.DataType) -> pl.Expr:
    """The cells in the contract's type; null where they do not fit it."""
    wanted = None if column is None or column.dtype is None else column.dtype.type
    raw = pl.col(name)
    if wanted is None or wanted == dtype:
        return raw
    if dtype == pl.String:
        text = raw.str.strip_chars()
        if wanted == pl.Boolean:
            words = {"true": True, "false": False, "1": True, "0": False}
            return text.str.to_lowercase().replace_strict(words, default=None,
                                                          return_dtype=pl.Boolean)  # fmt: skip
        return text.cast(wanted, strict=False)
    return raw.cast(wanted, strict=False)


def _repeated(
    scan: pl.LazyFrame, schema: Any, columns: Mapping[str, Any]
) -> dict[tuple[str, ...], pl.Series]:
    """The values that stand in several rows, of each column or group that must be unique."""
    types = scan.collect_schema()
    wanted: list[tuple[str, ...]] = [(name,) for name, column in columns.items() if column.unique]
    group = tuple(schema.unique or ())
    wanted += [group] if group and group not in wanted else []
    found: dict[tuple[str, ...], pl.Series] = {}
    for names in wanted:
        cells = [_typed(n, columns.get(n), types[n]).alias(n) for n in names]
        counts = scan.select(cells).group_by(names).len().filter(pl.col("len") > 1)
        values = counts.drop("len").collect(engine="streaming")
        found[names] = values.to_series() if len(names) == 1 else values.to_struct()
    return found


def _among(cells: pl.Expr, values: pl.Series) -> pl.Expr:
    return cells.is_in(values.implode(), nulls_equal=True).fill_null(value=False)


def _compile(
    name: str, column: Any, dtype: pl.DataType, repeated: pl.Series | None
) -> list[tuple[str, CellRule]]:
    """Return (rule, cells that break it) for everything that is declared of a column."""
    cell, raw = _typed(name, column, dtype), pl.col(name)
    held = raw.is_not_null()
    if dtype == pl.String and column.dtype is not None and column.dtype.type != pl.String:
        held = (raw.str.strip_chars() != "").fill_null(value=False)
    misfit = held & cell.is_null()
    if dtype.is_float() and column.dtype is not None and column.dtype.type.is_integer():
        misfit = misfit | (raw != cell).fill_null(value=False)
    rules = [("dtype", CellRule(name, misfit, f"no {column.dtype}"))]
    if not column.nullable:
        rules.append(("not_null", CellRule(name, ~held, "empty, and must not be")))
    if repeated is not None:
        told = "the same value as another row, and must be unique"
        rules.append(("unique", CellRule(name, _among(cell, repeated), told)))
    number = cell.cast(pl.Float64, strict=False) if _is_number(column, dtype) else None
    for check in column.checks:
        if not _is_declared(check):
            continue
        given = {k: v for k, v in check.statistics.items() if v is not None}
        broken = (~_DECLARED[check.name](cell, **given)).fill_null(value=False)
        limits = [v for v in given.values() if isinstance(v, int | float) and len(given) == 1]
        threshold = float(limits[0]) if limits else None
        rules.append(
            (check.name, CellRule(name, broken, f"breaks {check.error}", number, threshold))
        )
    return rules


def _is_number(column: Any, dtype: pl.DataType) -> bool:
    return bool((dtype if column.dtype is None else column.dtype.type).is_numeric())


def _in_range(
    cell: pl.Expr, min_value: Any, max_value: Any, *, include_min: bool = True,
    include_max: bool = True,
) -> pl.Expr:  # fmt: skip
    above = cell.ge(min_value) if include_min else cell.gt(min_value)
    return above & (cell.le(max_value) if include_max else cell.lt(max_value))


def _length(
    cell: pl.Expr, min_value: int = 0, max_value: int | None = None, exact_value: int | None = None
) -> pl.Expr:
    length = cell.str.len_chars()
    if exact_value is not None:
        return length == exact_value
    return length >= min_value if max_value is None else length.is_between(min_value, max_value)


def _matches(cell: pl.Expr, pattern: Any) -> pl.Expr:
    text = getattr(pattern, "pattern", pattern)
    return cell.str.contains(text if text.startswith("^") else f"^{text}")


# pandera's own meaning of each, pandera.backends.polars.builtin_checks 0.35
_DECLARED: Mapping[str, Callable[..., pl.Expr]] = MappingProxyType({
    "equal_to": lambda cell, value: cell == value,
    "not_equal_to": lambda cell, value: cell != value,
    "greater_than": lambda cell, min_value: cell > min_value,
    "greater_than_or_equal_to": lambda cell, min_value: cell >= min_value,
    "less_than": lambda cell, max_value: cell < max_value,
    "less_than_or_equal_to": lambda cell, max_value: cell <= max_value,
    "in_range": _in_range,
    "isin": lambda cell, allowed_values: cell.is_in(list(allowed_values)),
    "notin": lambda cell, forbidden_values: ~cell.is_in(list(forbidden_values)),
    "str_matches": _matches,
    "str_contains": lambda cell, pattern: cell.str.contains(getattr(pattern, "pattern", pattern)),
    "str_startswith": lambda cell, string: cell.str.starts_with(string),
    "str_endswith": lambda cell, string: cell.str.ends_with(string),
    "str_length": _length,
})  # fmt: skip


def _is_declared(check: Any) -> bool:
    return check.name in _DECLARED and bool(check.statistics) and check.ignore_na


def _as_checks(rules: list[tuple[str, CellRule]]) -> list[Check]:
    """The rules as cell checks, one for each id."""
    by_name: dict[str, list[CellRule]] = {}
    for name, rule in rules:
        by_name.setdefault(name, []).append(rule)
    missing = {"not_null"}
    return [
        Check(
            id=ID_PREFIX + name, kind="cell", modality="table",
            dimension="missing" if name in missing else "incorrect", severity="error",
            action="review", needs=("table",), params=MappingProxyType({}), examples=(),
            doc="", function=partial(_given, own),
        )
        for name, own in sorted(by_name.items())
    ]  # fmt: skip


def _given(rules: list[CellRule], _profile: object) -> list[CellRule]:
    return rules


def _rest(schema: Any, columns: Mapping[str, Any]) -> Any | None:
    """A schema of the checks that only pandera can run, or None if there are none."""
    left = {
        name: pa.Column(None, checks=checks, nullable=True)
        for name, column in columns.items()
        if (checks := [c for c in column.checks if not _is_declared(c)])
    }
    return pa.DataFrameSchema(left, checks=list(schema.checks)) if left or schema.checks else None


def _validate(batch: pl.DataFrame, schema: Any, where: str) -> pl.DataFrame:
    """Return the findings of the checks that pandera runs on one batch."""
    try:
        with config_context(validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            schema.validate(batch.drop("uri", "row", "sample_id"), lazy=True)
    except SchemaErrors as broken:
        return pl.DataFrame(list(_told(broken, batch, where)), schema=FINDING_SCHEMA, orient="row")
    return pl.DataFrame(schema=FINDING_SCHEMA)


def _told(broken: SchemaErrors, batch: pl.DataFrame, where: str) -> Iterator[tuple[Any, ...]]:
    for error in broken.schema_errors:
        if error.reason_code is not None and error.reason_code.name == "CHECK_ERROR":
            raise ContractError(where, "one of its checks raised", got=str(error)[:200])
    cases: Any = broken.failure_cases
    names = batch.get_column("sample_id")
    kept = cases.select("column", "check", "failure_case", "schema_context", "index")
    for column, check, case, context, index in kept.iter_rows():
        sample_id = names[0 if index is None else index]
        place = column if context == "Column" else None
        told = f"breaks {check}" + ("" if case is None else f" with {case}")
        yield (
            sample_id,
            f"{ID_PREFIX}{check}",
            place,
            "incorrect",
            "error",
            None,
            None,
            told,
            None,
        )
