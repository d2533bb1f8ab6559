"""What is known of a table and of each of its columns, as plain values that go through JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import polars as pl

from checks.metrics.tabular_relations import Associations, Gaps
from checks.metrics.tabular_words import NUMBER_WITH_UNIT

ColumnKind = Literal["number", "category", "text", "boolean", "datetime", "identifier", "constant"]
PROFILE_VERSION = 3
KEY_SEPARATOR = "\x1f"
NESTED = ("List", "Array", "Struct", "Binary", "Object")  # columns that are only counted
DATE_FORMATS = {"iso": "%Y-%m-%d", "month_first": "%m/%d/%Y", "day_first": "%d/%m/%Y"}


@dataclass(frozen=True, slots=True)
class ClosePair:
    """A rare value of a column beside a frequent one that is spelt almost like it."""

    rare: str
    rare_count: int
    frequent: str
    frequent_count: int
    distance: int
    unique: bool


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column: what it holds, counted. Null, NaN, infinity, empty, blank and placeholder differ.

    Counts are rows. `number`-like figures (min to histogram) are of the finite numbers; for
    datetimes in seconds since 1970. `top`: at most 100 (value, count), the most frequent first.
    `sentinels`: (number, count, distance to the nearest other number). `exact`: up to 16,384
    values all of them are known; beyond, `distinct_count` is an estimate (standard error 1.6 %),
    quantiles are within 0.2 % of a number or 6 hours of a date, and a count of `top` is too low by
    at most a thousandth of the rows.
    """

    name: str
    dtype: str
    kind: ColumnKind
    row_count: int
    null_count: int = 0
    nan_count: int = 0
    inf_count: int = 0
    empty_count: int = 0
    blank_count: int = 0
    placeholder_count: int = 0
    untrimmed_count: int = 0
    mojibake_count: int = 0
    number_count: int = 0
    integer_count: int = 0
    unit_count: int = 0
    zero_count: int = 0
    negative_count: int = 0
    clock_count: int = 0
    distinct_count: int = 0
    exact: bool = True
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None
    negative_median: float | None = None
    length_min: int | None = None
    length_mean: float | None = None
    length_max: int | None = None
    date_format: str | None = None
    quantiles: Mapping[str, float] = field(default_factory=dict)
    nonzero_quantiles: Mapping[str, float] = field(default_factory=dict)
    top: tuple[tuple[str, int], ...] = ()
    histogram_edges: tuple[float, ...] = ()
    histogram_counts: tuple[int, ...] = ()
    patterns: tuple[tuple[str, int], ...] = ()
    units: tuple[tuple[str, int], ...] = ()
    sentinels: tuple[tuple[float, int, float], ...] = ()
    close_pairs: tuple[ClosePair, ...] = ()

    @property
    def raw(self) -> pl.Expr:
        """The column as it came."""
        return pl.col(self.name)

    @property
    def is_text(self) -> bool:
        """Whether the column is stored as text."""
        return self.dtype == "String"

    @property
    def is_plain(self) -> bool:
        """Whether its values are single ones; lists and structs are only counted."""
        return not self.dtype.startswith(NESTED)

    @property
    def text(self) -> pl.Expr:
        """The column as String, stripped of white space at both ends; null for nested types."""
        return text_of(self.name, self.dtype)

    @property
    def number(self) -> pl.Expr:
        """The column as Float64, null where it is no finite number; datetimes as epoch seconds."""
        if self.kind == "datetime":
            return (self.datetime.dt.epoch("ms") / 1000.0).cast(pl.Float64)
        return number_of(self.name, self.dtype)

    @property
    def magnitude(self) -> pl.Expr:
        """As `number`, but reading `12 oz` as 12."""
        if not self.is_text:
            return self.number
        bare = self.text.str.extract(NUMBER_WITH_UNIT, 1).cast(pl.Float64, strict=False)
        return pl.coalesce(self.number, bare)

    @property
    def datetime(self) -> pl.Expr:
        """The column as Datetime; text is read by its day. Null where it is no date."""
        if self.is_text:
            form = DATE_FORMATS[self.date_format or "iso"]
            day = self.text.str.extract(r"^([\d/-]+)", 1)
            return day.str.to_date(form, strict=False).cast(pl.Datetime("us"))
        return self.raw.cast(pl.Datetime("us"), strict=False).dt.replace_time_zone(None)

    @property
    def missing_count(self) -> int:
        """Rows without a value: null, NaN, empty, blank or a placeholder word."""
        gone = self.null_count + self.nan_count + self.empty_count
        return gone + self.blank_count + self.placeholder_count

    @property
    def filled_frac(self) -> float:
        """Share of rows with a value, 0..1."""
        return 1.0 - self.missing_count / self.row_count if self.row_count else 0.0


@dataclass(frozen=True, slots=True)
class Dependency:
    """Values of `determinants` that fix the value of `dependent` in (almost) every row.

    keys: the determinants' values joined by U+001F; values: what most rows of the key hold;
    counts and agreeing: rows of the key, and those of them that hold the value.
    mark: where the dependent is its two determinants joined by this text, without any key listed;
    None elsewhere. part: "first" or "last" where it is the part of such a join instead, of which
    the whole and the other part are the determinants.
    """

    determinants: tuple[str, ...]
    dependent: str
    row_count: int
    violation_count: int
    ambiguous_count: int
    keys: tuple[str, ...]
    values: tuple[str, ...]
    counts: tuple[int, ...]
    agreeing: tuple[int, ...]
    mark: str | None = None
    part: Literal["whole", "first", "last"] = "whole"


@dataclass(frozen=True, slots=True)
class Exchange:
    """Two columns with almost disjoint vocabularies: (value, count in first, count in second)."""

    first: str
    second: str
    shared: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class TableProfile:
    """A table's columns and how they hang together.

    gaps and associations: counted in a sample of `sample_count` rows, among them
    `sample_distinct_count` different ones; of the whole table, and exact, where that is small.
    None where there is nothing to tell.
    """

    row_count: int
    columns: tuple[ColumnProfile, ...]
    label: str | None = None
    dependencies: tuple[Dependency, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    gaps: Gaps | None = None
    associations: Associations | None = None
    sample_count: int = 0
    sample_distinct_count: int = 0
    scan_count: int = 0
    version: int = PROFILE_VERSION

    @property
    def features(self) -> tuple[ColumnProfile, ...]:
        """The columns but the label."""
        return tuple(c for c in self.columns if c.name != self.label)

    def column(self, name: str) -> ColumnProfile:
        """Return the column of that name.

        Raises:
            KeyError: there is none.
        """
        return next(c for c in self.columns if c.name == name)

    def to_json(self) -> str:
        """Return the profile as JSON text; `from_json` gives an equal profile back."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> TableProfile:
        """Return the profile that `to_json` wrote."""
        plain = json.loads(text)
        columns = [_column_from(entry) for entry in plain.pop("columns")]
        dependencies = [Dependency(**_frozen(entry)) for entry in plain.pop("dependencies")]
        exchanges = [Exchange(**_frozen(entry)) for entry in plain.pop("exchanges")]
        gaps, pairs = plain.pop("gaps", None), plain.pop("associations", None)
        return cls(
            **plain, columns=tuple(columns), dependencies=tuple(dependencies),
            exchanges=tuple(exchanges), gaps=gaps and Gaps(**_frozen(gaps)),
            associations=pairs and Associations(**_frozen(pairs)),
        )  # fmt: skip


def _column_from(plain: dict[str, Any]) -> ColumnProfile:
    pairs = tuple(ClosePair(**pair) for pair in plain.pop("close_pairs"))
    return ColumnProfile(**_frozen(plain), close_pairs=pairs)


def _frozen(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: _tuple(value) for key, value in plain.items()}


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value


def text_of(name: str, dtype: str) -> pl.Expr:
    """Return the column as stripped String; null for nested types."""
    if dtype == "String":
        return pl.col(name).str.strip_chars()
    if dtype.startswith((*NESTED, "Null")):
        return pl.lit(None, dtype=pl.String)
    if dtype.startswith("Duration"):
        return pl.col(name).dt.to_string("iso")
    return pl.col(name).cast(pl.String)


def number_of(name: str, dtype: str) -> pl.Expr:
    """Return the column as Float64, null where it is no finite number."""
    if dtype.startswith(("Date", "Datetime", "Time", "Duration", "Categorical", "Enum")):
        return pl.lit(None, dtype=pl.Float64)
    if dtype in ("String", "Boolean") or dtype.startswith(("Int", "UInt", "Float", "Decimal")):
        column = text_of(name, dtype) if dtype == "String" else pl.col(name)
        number = column.cast(pl.Float64, strict=False)
        return pl.when(number.is_finite()).then(number)
    return pl.lit(None, dtype=pl.Float64)
