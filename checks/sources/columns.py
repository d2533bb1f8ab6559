"""Columns with a meaning: which one holds the label, which one the split, and what they say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import polars as pl
import pyarrow as pa

from checks.core.errors import SourceError

SPLIT_NAMES: Mapping[str, str] = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": "test", "testing": "test",
}  # fmt: skip
LABEL_NAMES = ("label", "labels", "target", "class", "class_name", "category", "label_name")
_CATEGORY_MAX = 20  # a CSV column with more distinct numbers than this, fractions among them,
_WORDS_FRAC_MAX = 0.1  # and with at most this share of words, is a measurement, no category
_SPLIT_PREFIX = re.compile(rf"({'|'.join(SPLIT_NAMES)})(?=$|[-_.])", re.IGNORECASE)


def pick_column(where: str, role: str, name: str, columns: Sequence[str]) -> str:
    """Return `name` if it is one of `columns`.

    Raises:
        SourceError: it is not; names the nearest column.

    >>> pick_column("a.csv", "label", "incme", ["age", "income"])
    Traceback (most recent call last):
    ...
    checks.core.errors.SourceError: a.csv: no column for the label (got 'incme'). Columns: age, \
income. Did you mean 'income'?
    """
    if name in columns:
        return name
    near = get_close_matches(name, columns, n=1, cutoff=0.5)
    advice = f"Did you mean {near[0]!r}?" if near else "Name one of them in [source]."
    listed = ", ".join(columns[:30]) + (", ..." if len(columns) > 30 else "")  # noqa: PLR2004
    raise SourceError(
        where, f"no column for the {role}", got=name, allowed=f"Columns: {listed}.", advice=advice
    )


def split_of_path(uri: str) -> str | None:
    """Return the split that a file's folder or name tells, or None.

    >>> split_of_path("data/validation-00000-of-00002.parquet"), split_of_path("trains.csv")
    ('val', None)
    """
    for part in reversed(uri.split("/")):
        found = _SPLIT_PREFIX.match(part)
        if found:
            return SPLIT_NAMES[found.group(1).lower()]
    return None


def tells_split(values: pl.Series) -> bool:
    """Return whether every value of a column is a known name of a split (or null)."""
    known = set(SPLIT_NAMES)
    names = values.drop_nulls().unique()
    return names.dtype == pl.String and len(names) > 0 and {v.lower() for v in names} <= known


def split_values(where: str, values: pl.Series) -> pl.Series:
    """Return a split column in our own names: train, val, test, or null.

    Raises:
        SourceError: a value is no known name.
    """
    text = values.cast(pl.String)
    odd = sorted({v for v in text.drop_nulls().unique() if v.lower() not in SPLIT_NAMES})
    if odd:
        allowed = f"Allowed: {', '.join(sorted(SPLIT_NAMES))}."
        advice = "Rename the values, or name another split column in [source]."
        raise SourceError(
            f"{where}: column {values.name!r}", "no name of a split", got=odd[0],
            allowed=allowed, advice=advice,
        )  # fmt: skip
    return text.str.to_lowercase().replace(dict(SPLIT_NAMES)).rename("split")


def label_values(where: str, values: pl.Series, classes: Sequence[str] = ()) -> pl.Series:
    """Return a label column as text; class numbers become their names where these are known.

    Whole numbers stored as floats (what pandas makes of integers with gaps) count as integers;
    -1 with known class names is Hugging Face's "no label" and becomes null.

    Raises:
        SourceError: the column holds fractions, lists or other things that are no categories.

    >>> label_values("t", pl.Series("label", [1, 0, -1]), ["cat", "dog"]).to_list()
    ['dog', 'cat', None]
    """
    here = f"{where}: label column {values.name!r}"
    kind = values.dtype
    if kind.is_nested() or kind == pl.Binary or kind.is_temporal():
        raise _no_category(here, str(kind))
    numbers = values
    if kind == pl.String:
        numbers = values.str.strip_chars().cast(pl.Float64, strict=False)
        words = numbers.null_count() - values.null_count()
        if words > _WORDS_FRAC_MAX * len(values) or numbers.n_unique() <= _CATEGORY_MAX:
            return values.rename("label")
    if numbers.dtype.is_float() or kind.is_decimal():
        measured = numbers.cast(pl.Float64).fill_nan(None).drop_nulls()
        broken = measured.filter((measured != measured.floor()) | measured.is_infinite())
        if len(broken):
            raise _no_category(here, f"{kind}, e.g. {broken[0]}")
        if kind != pl.String:
            values = numbers.cast(pl.Float64).fill_nan(None).cast(pl.Int64)
    if classes and values.dtype.is_integer():
        names = dict(enumerate(classes))
        text = values.cast(pl.Int64).replace_strict(
            {**names, -1: None}, default=values.cast(pl.String), return_dtype=pl.String
        )
        return text.rename("label")
    return values.cast(pl.String).rename("label")


def _no_category(where: str, got: str) -> SourceError:
    allowed = "A label is a category: text, whole numbers or true/false."
    return SourceError(
        where, "holds no categories", got=got, allowed=allowed,
        advice="Name another column in [source] label, or bin the numbers first.",
    )  # fmt: skip


def hf_features(schema: pa.Schema) -> dict[str, Any]:
    """Return the Hugging Face features stored in a Parquet file's schema, {} where none are."""
    try:
        told = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return told if isinstance(told, dict) else {}


def class_names(features: Mapping[str, Any], column: str) -> tuple[str, ...]:
    """Return the names of a ClassLabel column, () for any other."""
    feature = features.get(column)
    names = feature.get("names") if isinstance(feature, dict) else None
    return tuple(map(str, names)) if isinstance(names, list) else ()


def unique_names(names: Iterable[str]) -> list[str]:
    """Return column names without blanks and doubles, and clear of `uri`, `row` and `sample_id`.

    NUL, which ends a name wherever tables pass from library to library, is taken out.

    >>> unique_names(["id", "", "id", "row"])
    ['id', 'column_2', 'id_2', 'row_2']
    """
    taken = {"uri", "row", "sample_id"}
    out: list[str] = []
    for position, raw in enumerate(names, start=1):
        name = base = raw.replace("\x00", "").strip() or f"column_{position}"
        count = 2
        while name in taken:
            name, count = f"{base}_{count}", count + 1
        taken.add(name)
        out.append(name)
    return out
