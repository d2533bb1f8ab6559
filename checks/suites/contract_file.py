"""Reading a contract: a pandera model in Python, or its YAML form."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import pandera.polars as pa
import yaml  # type: ignore[import-untyped]

from checks.core.errors import ContractError
from checks.suites.contract_settings import (
    FOREIGN_KEYS,
    IMPLIES,
    ForeignKey,
    Implication,
    Settings,
    read_foreign_keys,
    read_implications,
    read_settings,
)
from checks.suites.contract_words import advise

OWN_KEY = "gristmill"
_FORMS = "It must be file.py, file.py:Class, module:Class, or a .yaml file."
_BUILT_IN = ("dtype", "not_null", "not_nan", "unique")


@dataclass(frozen=True, slots=True)
class Contract:
    """A readable contract.

    where: how errors name it. schema: pandera's. metadata: pandera's, of the whole schema; a
    model's does not reach its schema. base: the folder that paths of other tables start from.
    """

    where: str
    schema: Any
    metadata: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    base: Path = Path()

    def column_settings(self, name: str) -> dict[str, Settings]:
        """Return the settings of every rule of the schema's column `name`, by the rule's name."""
        column = self.schema.columns[name]
        where = f"{self.where}: column {name!r}"
        return _read_settings(where, _own(column.metadata), _BUILT_IN, column.checks)

    def table_settings(self) -> dict[str, Settings]:
        """Return the settings of the rules on several columns: `unique`, the schema's checks."""
        own = {k: v for k, v in self._own.items() if k not in (IMPLIES, FOREIGN_KEYS)}
        return _read_settings(self.where, own, ("unique",), self.schema.checks)

    @property
    def implications(self) -> tuple[Implication, ...]:
        """The conditional rules."""
        return tuple(read_implications(self.where, self._own.get(IMPLIES, ())))

    @property
    def foreign_keys(self) -> tuple[ForeignKey, ...]:
        """The cross-table rules."""
        return tuple(read_foreign_keys(self.where, self._own.get(FOREIGN_KEYS, ())))

    @property
    def tables(self) -> tuple[Path, ...]:
        """The files of other tables that the contract reads."""
        return tuple(self.base / key.table for key in self.foreign_keys)

    @property
    def _own(self) -> Mapping[str, Any]:
        told = _own(self.metadata or self.schema.metadata)
        if not isinstance(told, Mapping):
            raise ContractError(f"{self.where}: metadata.{OWN_KEY}", "no mapping", got=told)
        return told


def _own(metadata: Any) -> Any:
    return metadata.get(OWN_KEY) or {} if isinstance(metadata, Mapping) else {}


def _read_settings(
    where: str, told: Any, built_in: tuple[str, ...], checks: Any
) -> dict[str, Settings]:
    names = [name_check(check) for check in checks]
    warned = [name_check(check) for check in checks if check.raise_warning]
    return read_settings(where, told, [*built_in, *names], warned)


def name_check(check: Any) -> str:
    """Return the name of a pandera check, by which settings and findings know it."""
    return str(check.name or "check")


def load_contract(path_or_module: str) -> Contract:
    """Return the contract at `file.py`, `file.py:Class`, `module:Class` or `file.yaml`.

    A Python contract is the user's own code and is run. YAML is read by `yaml.safe_load`.

    The rules mean what they mean in pandera: a null breaks no rule but `nullable=False`; a NaN is
    a value above all others, and breaks `nullable=False` as well, told apart as `not_nan`; equal
    nulls repeat one another; a pattern starts at the beginning of the text.

    Beyond pandera, the key `gristmill` of the metadata (`pa.Field(metadata=...)`, of a model's
    `Config`, `metadata:` in YAML beside a column's dtype or at the top) says:

    - of a column: `tolerance`, the share of rows (0..1) that may break a rule, and `severity`
      (info, warning, error), for all rules of the column or under a rule's name for one:
      `{"tolerance": 0.01, "not_null": {"tolerance": 0.05}, "isin": {"severity": "warning"}}`.
      `raise_warning=True` on a check is severity warning. The rules that pandera has no check for
      are `dtype`, `not_null`, `not_nan` and `unique`.
    - of the schema: the same for `unique` over several columns and for the schema's own checks;
      `implies`, rules that hold where others do: `[{"if": {"column": "state", "isin": ["off"]},
      "then": {"column": "end", "is_null": True}}]`; `foreign_keys`, values that must stand in
      another table: `[{"column": "carrier", "table": "airlines.parquet", "key": "code"}]`, the
      path from the contract's folder. Both take `tolerance` and `severity`, `implies` a `name`.

    Raises:
        ContractError: the file or class is not there, does not load, is no pandera contract, or
            says something in its metadata that is not known.
    """
    contract = _load(path_or_module)
    for name in contract.schema.columns:
        contract.column_settings(name)
    contract.table_settings(), contract.implications, contract.foreign_keys
    return contract


def _load(path_or_module: str) -> Contract:
    place, _, name = path_or_module.partition(":")
    if place.endswith((".yaml", ".yml")):
        return _read_yaml(place)
    module = _load_file(place) if place.endswith(".py") else _load_module(place, path_or_module)
    models = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, pa.DataFrameSchema)
        or (inspect.isclass(value) and issubclass(value, pa.DataFrameModel)
            and value.__module__ == module.__name__)
    }  # fmt: skip
    if name and name not in models:
        raise ContractError(path_or_module, "no such contract in it", got=name,
                            advice=advise(name, list(models)))  # fmt: skip
    if not name and len(models) != 1:
        told = ", ".join(sorted(models)) or "none"
        raise ContractError(place, f"holds {len(models)} pandera contracts ({told})",
                            advice=f"Name one: {place}:Class.")  # fmt: skip
    found = models[name] if name else next(iter(models.values()))
    base = Path(module.__file__ or ".").parent
    if isinstance(found, pa.DataFrameSchema):
        return Contract(path_or_module, found, base=base)
    try:
        schema = found.to_schema()
    except Exception as broken:
        raise ContractError(path_or_module, f"is no valid pandera contract: {broken}") from broken
    # pandera's own `get_metadata` fails on a Config that says nothing of it
    return Contract(path_or_module, schema, getattr(found.Config, "metadata", None) or {}, base)


def _read_yaml(place: str) -> Contract:
    from pandera.io import polars_io  # noqa: PLC0415 - slow, and only YAML needs it

    try:
        plain = yaml.safe_load(Path(place).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as broken:
        told = str(broken).replace("\n", " ")
        raise ContractError(place, f"cannot be read as YAML: {told}") from broken
    if not isinstance(plain, dict) or not isinstance(plain.get("columns"), dict):
        raise ContractError(place, "has no `columns` mapping, as pandera's YAML form has")
    try:
        schema = polars_io.deserialize_schema(plain)  # type: ignore[no-untyped-call]
    except Exception as broken:
        raise ContractError(place, f"is no valid pandera contract: {broken}") from broken
    for name, column in plain["columns"].items():  # pandera leaves metadata out of its YAML
        schema.columns[name].metadata = column.get("metadata")
    return Contract(place, schema, plain.get("metadata") or {}, Path(place).parent)


def _load_file(place: str) -> ModuleType:
    path = Path(place)
    if not path.is_file():
        raise ContractError(place, "no such contract file", advice="Check the path.")
    spec = importlib.util.spec_from_file_location(f"gristmill_contract_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a model's annotations are looked up there
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
