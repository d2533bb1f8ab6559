"""Tables to tensors: fitted on the raw training rows only, the same for every arm.

Numbers are centred by the median and scaled by the interquartile range, then bent smoothly into
(-3, 3); a missing one is 0 with an indicator. Categories are codes: 0 missing, 1 unknown, then the
vocabulary; rare and surplus levels share hashed codes. Dates become numbers. Medians and quantiles
are order statistics, so the state is the same on every machine.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.errors import TrainingError

MOSTLY = 0.8
MISSING, UNKNOWN, FIRST = 0, 1, 2
_HUGE, _FAR = 1e300, 1e100  # what can be subtracted, and squared
_DATE_PARTS = ("day", "year_sin", "year_cos", "week_sin", "week_cos", "hour_sin", "hour_cos")


class Encoded(NamedTuple):
    """numbers: float32 (N, D), finite. codes: int64 (N, K), each below its column's levels."""

    numbers: NDArray[np.float32]
    codes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """How one column is encoded. kind: number, date or category.

    centres, scales: one for each number it gives (one, or seven for a date). gaps: training rows
    had missing values, so an indicator is added. vocabulary: levels in code order; buckets: hashed
    codes after them.
    """

    name: str
    kind: str
    centres: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()
    gaps: bool = False
    vocabulary: tuple[str, ...] = ()
    buckets: int = 0

    @property
    def levels(self) -> int:
        """How many codes the column has; 0 for numbers and dates."""
        return FIRST + len(self.vocabulary) + self.buckets if self.kind == "category" else 0


@dataclass(frozen=True, slots=True)
class Encoder:
    """The fitted state; `to_plain` goes into a manifest.

    >>> train = pl.DataFrame({"x": ["1", "3", "5"], "c": ["a", "b", "a"]})
    >>> encoder = fit_encoder(train, min_count=1)
    >>> encoder.encode(pl.DataFrame({"x": ["3", None], "c": ["b", "new"]})).codes.tolist()
    [[3], [1]]
    """

    columns: tuple[ColumnPlan, ...]

    @property
    def levels(self) -> tuple[int, ...]:
        """The number of codes of each category column."""
        return tuple(plan.levels for plan in self.columns if plan.levels)

    def encode(self, frame: pl.DataFrame) -> Encoded:
        """Encode rows that have the fitted columns, whatever their types.

        Raises:
            TrainingError: if a fitted column is absent.
        """
        absent = [plan.name for plan in self.columns if plan.name not in frame.columns]
        if absent:
            raise TrainingError("encoder", "a fitted column is absent", got=absent[0])
        numbers = [_numbers(frame[p.name], p) for p in self.columns if p.kind != "category"]
        codes = [_codes(frame[p.name], p) for p in self.columns if p.kind == "category"]
        rows = frame.height
        return Encoded(
            np.concatenate([np.zeros((rows, 0), np.float32), *numbers], axis=1),
            np.stack(codes, axis=1) if codes else np.zeros((rows, 0), np.int64),
        )

    def without(self, names: Collection[str]) -> Encoder:
        """Return the encoder that does not read the columns `names`.

        Raises:
            TrainingError: if it would read nothing.
        """
        left = tuple(plan for plan in self.columns if plan.name not in names)
        if not left:
            raise TrainingError("encoder", "every column is left out", got=sorted(names))
        return Encoder(left)

    def to_plain(self) -> list[dict[str, Any]]:
        """Return the state as what JSON holds: a mapping for each column, lists and numbers."""
        plain: list[dict[str, Any]] = json.loads(self.to_json())
        return plain

    @classmethod
    def from_plain(cls, plain: Sequence[Mapping[str, Any]]) -> Encoder:
        """Return the encoder that `to_plain` described."""
        return cls(tuple(ColumnPlan(**_tuples(state)) for state in plain))

    def to_json(self) -> str:
        """Return the state as JSON, keys sorted."""
        return json.dumps([asdict(plan) for plan in self.columns], sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Encoder:
        """Return the encoder that `to_json` described."""
        return cls.from_plain(json.loads(text))


def _tuples(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in state.items()}


def fit_encoder(
    frame: pl.DataFrame, *, min_count: int = 10, max_levels: int = 512, buckets: int = 32
) -> Encoder:
    """Fit an encoder on the raw training rows.

    frame: feature columns only, no label, key or split. min_count: a level seen less often is
    hashed. max_levels: vocabulary kept of a column; the rest is hashed into `buckets` codes.
    A text column of which 80 % parse as numbers is numeric; the same for ISO dates.

    Raises:
        TrainingError: if there is no column that varies.
    """
    plans = [
        _fit_column(frame[name], min_count, max_levels, buckets)
        for name in frame.columns
        if frame[name].n_unique() > 1
    ]
    if not plans:
        raise TrainingError("encoder", "no column varies in the training rows", got=frame.width)
    return Encoder(tuple(plans))


def _fit_column(column: pl.Series, min_count: int, max_levels: int, buckets: int) -> ColumnPlan:
    """Choose the kind and learn its state."""
    kind = kind_of(column)
    if kind == "category":
        texts = _texts(column).drop_nulls()
        counts = (
            texts.alias("level").value_counts(name="n")
            .filter(pl.col("n") >= min_count).sort("n", "level", descending=[True, False])
        )  # fmt: skip
        vocabulary = tuple(counts["level"].head(max_levels).to_list())
        surplus = texts.n_unique() > len(vocabulary)
        return ColumnPlan(
            column.name, kind, vocabulary=vocabulary, buckets=buckets if surplus else 0
        )
    parts = _parts(column, kind)
    moments = [_centre_and_scale(part) for part in parts]
    gaps = bool(np.isnan(parts[0]).any())
    return ColumnPlan(
        column.name, kind, tuple(m[0] for m in moments), tuple(m[1] for m in moments), gaps
    )


def kind_of(column: pl.Series) -> str:
    """Return number, date or category, by type or by what 80 % of the texts parse as.

    >>> kind_of(pl.Series(["1", "2.5", "-3e2", "7", "n/a"]))
    'number'
    """
    if column.dtype.is_numeric() or column.dtype in (pl.Duration, pl.Time):
        return "number"
    if column.dtype in (pl.Date, pl.Datetime):
        return "date"
    if column.dtype == pl.Boolean:
        return "category"
    texts = _texts(column).drop_nulls()
    if texts.is_empty():
        return "category"
    for kind, parse in (("number", _as_number), ("date", _as_date)):
        if parse(texts).is_not_null().sum() >= MOSTLY * len(texts):
            return kind
    return "category"


def _texts(column: pl.Series) -> pl.Series:
    """Stripped texts; an empty one is missing."""
    if column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object):
        told = [None if value is None else repr(value) for value in column.to_list()]
        texts = pl.Series(column.name, told, pl.String)
    else:
        texts = column.cast(pl.String).str.strip_chars()
    return texts.set(texts == "", None)


def _as_number(texts: pl.Series) -> pl.Series:
    """Finite Float64, null where a text is no number."""
    values = texts.cast(pl.Float64, strict=False)
    return values.set(~values.is_finite().fill_null(value=False), None)


def _as_date(texts: pl.Series) -> pl.Series:
    """Datetime, null where a text is no ISO date or time stamp."""
    frame = pl.DataFrame({"t": texts.str.replace("T", " ").str.strip_suffix("Z")})
    forms = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
    parsed = [pl.col("t").str.to_datetime(form, strict=False, time_unit="us") for form in forms]
    return frame.select(pl.coalesce(parsed))["t"]


def _parts(column: pl.Series, kind: str) -> list[NDArray[np.float64]]:
    """The numbers that a column gives, NaN where missing."""
    if kind == "number":
        plain = column.to_physical() if column.dtype in (pl.Duration, pl.Time) else column
        values = plain if plain.dtype.is_numeric() else _as_number(_texts(plain))
        array = values.cast(pl.Float64).to_numpy().astype(np.float64)
        return [np.where(np.isfinite(array), array, np.nan)]
    stamps = column.cast(pl.Datetime("us")) if column.dtype.is_temporal() else None
    micros = (stamps if stamps is not None else _as_date(_texts(column))).to_physical()
    days = micros.cast(pl.Float64).to_numpy().astype(np.float64) / 86_400e6
    turns = (days / 365.2425, days / 7, days)
    waves = [wave(2 * np.pi * turn) for turn in turns for wave in (np.sin, np.cos)]
    return [days, *waves]


def _centre_and_scale(values: NDArray[np.float64]) -> tuple[float, float]:
    """Median and interquartile range; the full range where half of the values are equal."""
    known = np.clip(values[~np.isnan(values)], -_HUGE, _HUGE)
    if known.size == 0:
        return 0.0, 1.0
    low, middle, high = (float(q) for q in np.quantile(known, (0.25, 0.5, 0.75), method="nearest"))
    spread = (high - low) / 1.349 or float(known.max() - known.min()) / 4
    return middle, spread or 1.0


def _numbers(column: pl.Series, plan: ColumnPlan) -> NDArray[np.float32]:
    """Scaled and bent numbers, with the missing indicator last where there is one."""
    out = []
    parts = _parts(column, plan.kind)
    for part, centre, scale in zip(parts, plan.centres, plan.scales, strict=True):
        scaled = np.clip((np.clip(part, -_HUGE, _HUGE) - centre) / scale, -_FAR, _FAR)
        out.append(np.nan_to_num(scaled / np.sqrt(1 + (scaled / 3) ** 2)))
    if plan.gaps:
        out.append(np.isnan(parts[0]).astype(np.float64))
    return np.stack(out, axis=1).astype(np.float32)


def _codes(column: pl.Series, plan: ColumnPlan) -> NDArray[np.int64]:
    """Codes: missing, unknown, vocabulary, then hashed buckets for what is outside it."""
    levels = _texts(column)
    known = {level: FIRST + at for at, level in enumerate(plan.vocabulary)}
    distinct = levels.drop_nulls().unique().sort().to_list()
    table = {level: known.get(level, _bucket(level, plan)) for level in distinct}
    if not table:
        return np.full(len(column), MISSING, np.int64)
    codes = levels.replace_strict(table, default=MISSING, return_dtype=pl.Int64)
    return codes.to_numpy().astype(np.int64)


def _bucket(level: str, plan: ColumnPlan) -> int:
    if not plan.buckets:
        return UNKNOWN
    return FIRST + len(plan.vocabulary) + zlib.crc32(level.encode()) % plan.buckets


def one_hot(encoded: Encoded, levels: Sequence[int], *, most: int = 32) -> NDArray[np.float32]:
    """Return frozen features: the numbers, then indicators of up to `most` codes a column.

    The vocabulary is ordered by count, so the commonest levels keep indicators of their own.

    >>> one_hot(Encoded(np.ones((1, 1), np.float32), np.array([[2]])), (3,)).tolist()
    [[1.0, 0.0, 0.0, 1.0]]
    """
    parts = [encoded.numbers]
    for column, count in enumerate(levels):
        kept = min(count, most)
        codes = np.minimum(encoded.codes[:, column], kept - 1)
        parts.append((codes[:, None] == np.arange(kept)).astype(np.float32))
    return np.concatenate(parts, axis=1)
