"""Values for cells that have none: fitted on train rows, the same for every row that is filled.

Median, mode and those of groups are exact counts over all train rows; nearest neighbours and the
iterated regression (scikit-learn) read a bounded sample of them: the rows with the smallest
sample_ids, which are digests of content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from checks.metrics.fill_models import NumberModel, fit_model
from checks.metrics.tabular_profile import ColumnProfile
from checks.metrics.tabular_words import is_placeholder

Method = Literal["median", "mode", "group", "knn", "iterative"]
MODELS = ("knn", "iterative")
HOLE = "\x1fhole:"  # before a column's name: whether its cell is to be filled
SPLIT, KEY, VALUE = "\x1fsplit", "\x1fkey", "\x1fvalue"  # no data column is named so
GROUP_ROWS_MIN = 5  # with a value, before a group speaks for itself
BATCH_ROWS = 65_536
FILLED = {"sample_id": pl.String, "split": pl.String, "column": pl.String, "value": pl.String,
          "method": pl.String}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FillRule:
    """How one column is filled. group_by: the columns whose values make the groups of `group`.

    `median`, `knn` and `iterative` give numbers; a column of anything else takes its mode.
    """

    column: ColumnProfile
    method: Method
    group_by: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.name

    @property
    def number(self) -> bool:
        """Whether the column holds numbers."""
        return self.column.kind == "number"

    @property
    def applied(self) -> Method:
        """The method that the column takes: `mode` where numbers are asked of other things."""
        return self.method if self.number or self.method == "group" else "mode"


@dataclass(frozen=True, slots=True, eq=False)
class Fills:
    """Fitted fills. usual: what each column takes where nothing closer is known.

    groups: by column, the keys, U+001F between them, and the value of each group.
    """

    rules: tuple[FillRule, ...]
    usual: Mapping[str, str | None]
    groups: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    models: Mapping[str, NumberModel] = field(default_factory=dict)

    def fill(self, cells: pl.DataFrame) -> pl.DataFrame:
        """Return the filled cells of a batch of `lay_cells`: the columns of `FILLED`."""
        guessed = {name: model.fill(cells) for name, model in self.models.items()}
        parts = [pl.DataFrame(schema=FILLED)]
        for rule in self.rules:
            closer = self._look_closer(rule, cells, guessed)
            told = cells.select(
                "sample_id", pl.col(SPLIT).alias("split"), column=pl.lit(rule.name), value=closer,
                method=pl.lit(rule.applied),
            ).filter(cells[f"{HOLE}{rule.name}"])  # fmt: skip
            usual = pl.lit(self.usual[rule.name], pl.String)
            parts.append(told.with_columns(pl.coalesce("value", usual).alias("value")))
        return pl.concat(parts).drop_nulls("value")

    def _look_closer(
        self, rule: FillRule, cells: pl.DataFrame, guessed: Mapping[str, Mapping[str, pl.Series]]
    ) -> pl.Series | pl.Expr:
        """What the row's group or the model says, for each row; null where they say nothing."""
        if rule.name in self.groups:
            keys = cells.select(_key(rule.group_by).alias(KEY))
            known = keys.join(self.groups[rule.name], on=KEY, how="left", maintain_order="left")
            return known[VALUE]
        return guessed.get(rule.applied, {}).get(rule.name, pl.lit(None, pl.String))

    def to_plain(self) -> dict[str, Any]:
        """Return what was fitted, for the manifest: method and value of each column, groups too."""
        return {rule.name: self._describe(rule) for rule in self.rules}

    def _describe(self, rule: FillRule) -> dict[str, Any]:
        told: dict[str, Any] = {"method": rule.applied, "value": self.usual[rule.name]}
        if rule.name in self.groups:
            known = self.groups[rule.name].sort(KEY)
            told |= {"group_by": list(rule.group_by), "groups": dict(known.iter_rows())}
        return told


def lay_cells(
    rows: pl.LazyFrame, columns: Sequence[ColumnProfile], rules: Sequence[FillRule],
    wrong: pl.DataFrame,
) -> pl.LazyFrame:  # fmt: skip
    """Return the cells as fills read them: numbers as Float64, all else as String.

    Args:
        rows: sample_id, `SPLIT` and the columns as they came.
        columns: the profiles of the columns that are read.
        rules: the columns that are filled.
        wrong: sample_id, column of cells whose value is not to be believed.

    Returns:
        sample_id, `SPLIT`, the columns, null where there is no value or a wrong one; and for each
        rule a Boolean column, `HOLE` before its name: whether the cell is to be filled. A cell is
        empty if it is null, NaN, blank or a placeholder word; infinity is a value.
    """
    distrusted = {name: set(part["sample_id"]) for (name,), part in
                  wrong.group_by("column") if isinstance(name, str)}  # fmt: skip
    ids = pl.col("sample_id")
    values, holes = [], []
    for column in columns:
        bad = ids.is_in(sorted(distrusted.get(column.name, ())))
        empty = _is_empty(column) | bad
        value = column.number if column.kind == "number" else column.text
        values.append(pl.when(~empty).then(value).alias(column.name))
        if any(rule.name == column.name for rule in rules):
            holes.append(empty.alias(f"{HOLE}{column.name}"))
    return rows.select("sample_id", SPLIT, *values, *holes)


def _is_empty(column: ColumnProfile) -> pl.Expr:
    empty = column.raw.is_null()
    if column.dtype.startswith("Float"):
        empty |= column.raw.is_nan().fill_null(value=False)
    if column.is_text:
        word = is_placeholder(column.text, strict=column.kind in ("number", "datetime"))
        empty |= (column.text == "").fill_null(value=False) | word
    return empty


def fit_fills(cells: pl.LazyFrame, rules: Sequence[FillRule], *, rows_max: int, seed: int) -> Fills:
    """Fit `rules` on the train rows of `lay_cells`.

    Args:
        cells: of all splits; only train rows are read.
        rules: one for each column that is filled.
        rows_max: rows that nearest neighbours and the regression are fitted on.
        seed: of the regression's order.

    Cost: one scan for medians, one for each column of categories and each of groups; memory 8
    bytes for each train row and median, and the sample.
    """
    train = cells.filter(pl.col(SPLIT) == "train")
    usual = {**_medians(train, rules), **{r.name: _mode(train, r) for r in rules if _takes_mode(r)}}
    groups = {r.name: _groups(train, r) for r in rules if r.method == "group" and r.group_by}
    models = {}
    for method in MODELS:
        names = [r for r in rules if r.applied == method]
        if names:
            whole = {r.name: r.column.integer_count == r.column.number_count for r in names}
            models[method] = fit_model(method, train, whole, rows_max=rows_max, seed=seed)
    return Fills(tuple(rules), usual, groups, models)


def fill_table(cells: pl.LazyFrame, fills: Fills) -> pl.DataFrame:
    """Return the filled cells of all splits, the columns of `FILLED`, sorted; read in batches."""
    any_hole = pl.any_horizontal(pl.col(f"{HOLE}{rule.name}") for rule in fills.rules)
    holed = cells.filter(any_hole)
    batches = holed.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)
    filled = [pl.DataFrame(schema=FILLED), *(fills.fill(batch) for batch in batches)]
    return pl.concat(filled).sort("sample_id", "column")


def _takes_mode(rule: FillRule) -> bool:
    return rule.applied == "mode" or not rule.number


def tell_number(number: pl.Expr) -> pl.Expr:
    """Return numbers as the text that a cell holds: 12 and not 12.0.

    >>> pl.select(tell_number(pl.lit(12.0)), wide=tell_number(pl.lit(0.25))).row(0)
    ('12', '0.25')
    """
    return number.cast(pl.String).str.strip_suffix(".0")


def _medians(train: pl.LazyFrame, rules: Sequence[FillRule]) -> dict[str, str | None]:
    """The lower median of each number column: a value that occurs."""
    middle = [tell_number(pl.col(r.name).quantile(0.5, "lower")).alias(r.name)
              for r in rules if not _takes_mode(r)]  # fmt: skip
    return train.select(middle).collect(engine="streaming").row(0, named=True) if middle else {}


def _mode(train: pl.LazyFrame, rule: FillRule) -> str | None:
    """The commonest value, the smallest of equally common ones."""
    counted = train.select(rule.name).drop_nulls().group_by(rule.name).len()
    first = counted.sort("len", rule.name, descending=[True, False]).head(1)
    told = tell_number(pl.col(rule.name)) if rule.number else pl.col(rule.name)
    found = first.select(told).collect(engine="streaming").to_series()
    return str(found[0]) if len(found) else None


def _groups(train: pl.LazyFrame, rule: FillRule) -> pl.DataFrame:
    """Key and value of each group with enough rows: the lower median, or the mode."""
    keyed = train.select(_key(rule.group_by).alias(KEY), rule.name).drop_nulls()
    if rule.number:
        middle = tell_number(pl.col(rule.name).quantile(0.5, "lower"))
        found = keyed.group_by(KEY).agg(middle.alias(VALUE), rows=pl.len())
    else:
        counted = keyed.group_by(KEY, rule.name).agg(count=pl.len())
        ranked = counted.sort("count", rule.name, descending=[True, False])
        found = ranked.group_by(KEY, maintain_order=True).agg(
            pl.col(rule.name).first().alias(VALUE), rows=pl.col("count").sum()
        )
    enough = found.filter(pl.col("rows") >= GROUP_ROWS_MIN).select(KEY, VALUE)
    return enough.collect(engine="streaming").sort(KEY)


def _key(group_by: Sequence[str]) -> pl.Expr:
    """The values of the group's columns as one text; null where one is missing."""
    return pl.concat_str([pl.col(name).cast(pl.String) for name in group_by], separator="\x1f")
