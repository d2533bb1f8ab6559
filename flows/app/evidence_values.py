"""What a user's own values must be: vectors of one width, class scores that sum to one."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from checks.core.errors import SourceError
from flows.app.config import Config
from flows.app.evidence import Evidence, is_file, read_given, settle

Matrix = NDArray[np.float64]
WIDTH_MAX = 4096  # the left-out ridge decomposes a square of this side
SUM_SLACK = 0.01  # what half precision and rounding to two digits leave
SEPARATORS = "_-. :/"
FINITE, BETWEEN, SUMS, WIDTH = (
    "not a finite number", "below 0 or above 1", "does not sum to 1", "another width than the rest",
)  # fmt: skip


def read_embedding(config: Config, source: Any, samples: pl.DataFrame) -> Evidence | None:
    """Return sample_id and `features` as [labels] embedding gives them; None where it does not.

    A column of lists or arrays of numbers, or a file with one such column, or with one number in
    each of its columns. The commonest width counts; other widths and values that are not finite
    are set aside.

    Raises:
        SourceError: there is no such column, it holds no vectors, or none that can be used.
    """
    name = config.labels.embedding
    if name is None:
        return None
    where = f"labels.embedding {name!r}"
    names = name if is_file(name) else (name,)
    given, strangers = read_given(config, source, samples, names)
    column = _vectors(where, given.drop("sample_id"))
    widths = column.list.len()
    common = widths.drop_nulls().mode().sort()
    width = int(common[-1]) if common.len() else 0
    if not 1 <= width <= WIDTH_MAX:
        raise SourceError(where, "vectors of this width cannot be used", got=width,
                          allowed=f"1 to {WIDTH_MAX} numbers.")  # fmt: skip
    fits: NDArray[np.bool_] = (widths == width).fill_null(value=False).to_numpy()
    flat = column.filter(pl.Series(fits)).explode().cast(pl.Float64, strict=False)
    matrix = np.full((given.height, width), np.nan)
    matrix[fits] = flat.fill_null(float("nan")).to_numpy().reshape(-1, width)
    with np.errstate(over="ignore"):
        small = matrix.astype(np.float32)
    finite = np.isfinite(small).all(axis=1)
    why = _tell(np.select([~fits, ~finite], [WIDTH, FINITE], ""))
    told = given.select("sample_id", features=pl.Series(small, dtype=pl.Array(pl.Float32, width)))
    table, facts = settle(where, told, why, samples, strangers)
    return Evidence(table, {**facts, "width": width})


def _vectors(where: str, values: pl.DataFrame) -> pl.Series:
    """Return the one column of vectors as lists, or all columns as one."""
    nested = values.select(cs.list() | cs.array())
    if nested.width == 1:
        column = nested.to_series()
        if isinstance(column.dtype, pl.Array):
            column = column.arr.to_list()
        inner = column.dtype.inner  # type: ignore[attr-defined]
        if inner.is_numeric():
            return column
    elif not nested.width and values.width > 1:
        numbers = values.select(pl.all().cast(pl.Float64, strict=False))
        return numbers.select(pl.concat_list(pl.all())).to_series()
    got = ", ".join(f"{name}: {kind}" for name, kind in list(values.schema.items())[:4])
    raise SourceError(where, "holds no vectors", got=got,
                      allowed="Needed: one column of lists or arrays of numbers.")  # fmt: skip


def read_class_scores(config: Config, source: Any, samples: pl.DataFrame) -> Evidence | None:
    """Return tables.Probabilities as [labels] probabilities gives them; None where it does not.

    One column for each class: it bears the name of the class, or ends in it (`p_cat`). Rows with
    what is no probability, or that do not sum to 1 within 0.01, are set aside; others are divided
    by their sum.

    Raises:
        SourceError: a column is not there or fits no class, a class of train has no column, or
            no row can be used.
    """
    names = config.labels.probabilities
    if names is None:
        return None
    where = "labels.probabilities"
    given, strangers = read_given(config, source, samples, names)
    columns = [name for name in given.columns if name != "sample_id"]
    renamed = {name: config.labels.rename.get(name, name) for name in columns}
    classes = match_classes(where, renamed, samples)
    numbers = given.select(pl.col(columns).cast(pl.Float64, strict=False))
    matrix = numbers.fill_null(float("nan")).to_numpy().reshape(given.height, len(columns))
    told = given.select("sample_id").with_columns(
        pl.Series("probs", matrix, dtype=pl.Array(pl.Float64, len(columns)))
    )
    table, facts = settle(where, told, _judge(matrix), samples, strangers)
    used = table["probs"].to_numpy().reshape(table.height, len(columns)).clip(0, 1)
    return Evidence(as_long(table["sample_id"], used / used.sum(axis=1, keepdims=True), classes),
                    {**facts, "classes": classes})  # fmt: skip


def as_long(
    ids: pl.Series,
    probs: NDArray[np.floating[Any]],
    classes: Sequence[str],
    fold: NDArray[np.int64] | None = None,
) -> pl.DataFrame:
    """Return tables.Probabilities of probabilities (N, K); fold -1 where none is given."""
    count = len(classes)
    folds = np.full(len(ids), -1) if fold is None else fold
    return pl.DataFrame({
        "sample_id": ids.gather(np.repeat(np.arange(len(ids)), count)),
        "class_name": pl.Series(list(classes), dtype=pl.String).gather(
            np.tile(np.arange(count), len(ids))
        ),
        "prob": probs.astype(np.float32).ravel(),
        "fold": np.repeat(folds.astype(np.int64), count),
    })  # fmt: skip


def _judge(matrix: Matrix) -> pl.Series:
    """Return why each row cannot be used, null where it can."""
    finite = np.isfinite(matrix).all(axis=1)
    outside = ((matrix < -SUM_SLACK) | (matrix > 1 + SUM_SLACK)).any(axis=1)
    total = np.where(np.isfinite(matrix), matrix, 0).sum(axis=1)
    odd = np.abs(total - 1) > SUM_SLACK
    return _tell(np.select([~finite, outside, odd], [FINITE, BETWEEN, SUMS], ""))


def _tell(reasons: NDArray[Any]) -> pl.Series:
    return pl.Series(reasons.tolist(), dtype=pl.String).replace("", None)


def match_classes(where: str, columns: dict[str, str], samples: pl.DataFrame) -> list[str]:
    """Return the class of each column.

    Args:
        where: names the place in errors.
        columns: names, and how their class is spelt.
        samples: split and label.

    Raises:
        SourceError: a column fits no class, two fit one, or a class of train has none.

    >>> samples = pl.DataFrame({"split": ["train"] * 2, "label": ["cat", "dog"]})
    >>> match_classes("labels", {"p_dog": "p_dog", "cat": "cat"}, samples)
    ['dog', 'cat']
    """
    known = samples["label"].drop_nulls().unique().sort().to_list()
    matched: dict[str, str] = {}
    for name, spelt in columns.items():
        ends = [c for c in known if spelt.endswith(c) and spelt[: -len(c)][-1:] in SEPARATORS]
        label = spelt if spelt in known else max(ends, key=len, default=None)
        if label is None:
            tails = [spelt, *(spelt.partition(mark)[2] for mark in SEPARATORS)]
            near = [one for tail in tails for one in get_close_matches(tail, known, n=1)]
            advice = f"Did you mean {near[0]!r}?" if near else f"Classes: {', '.join(known[:20])}."
            raise SourceError(where, "a column of no class", got=name, advice=advice)
        if label in matched:
            raise SourceError(where, f"two columns for the class {label!r}",
                              got=f"{matched[label]}, {name}")  # fmt: skip
        matched[label] = name
    needed = samples.filter(pl.col("split") == "train")["label"].drop_nulls().unique().sort()
    if lost := [label for label in needed.to_list() if label not in matched]:
        raise SourceError(where, "no column for a class", got=lost[0],
                          advice="Give one column for each class of train.")  # fmt: skip
    return list(matched)
