"""The profile of a table: two scans of bounded memory, whatever its size.

Scan 1 counts the values of every column and draws a sample; scan 2 counts the pairs of values of
columns that seem to depend on each other. Both fold batch after batch, and the state of scan 1
merges, so that neither where a batch ends nor how rows are divided among files matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import polars as pl

from checks.core.cells import BATCH_ROWS
from checks.metrics.pair_counts import count_pairs, give_counts
from checks.metrics.tabular_associations import measure_associations
from checks.metrics.tabular_columns import describe_column, read_columns
from checks.metrics.tabular_dependencies import Candidate, confirm, find_exchanges, propose
from checks.metrics.tabular_gaps import count_gaps
from checks.metrics.tabular_profile import (
    ColumnProfile,
    TableProfile,
    number_of,
    text_of,
)
from checks.metrics.tabular_state import KEY, TableState
from checks.metrics.tabular_tally import TableTally
from checks.metrics.tabular_words import is_placeholder

KEYS = ("uri", "row")  # the first two columns of a source's scan are no data
_WORD_CAP = 5000  # distinct words of a column before it is no vocabulary

Counter = Callable[[list[Candidate], list[ColumnProfile]], None]


def data_columns(scan: pl.LazyFrame) -> dict[str, str]:
    """Return name and dtype of the columns that hold data, in order."""
    schema = scan.collect_schema()
    names = list(schema)
    own = names[2:] if tuple(names[:2]) == KEYS else names
    return {name: str(schema[name]) for name in own}


def profile_table(
    scan: pl.LazyFrame, *, label: str | None, batch_rows: int = BATCH_ROWS
) -> TableProfile:
    """Return what is known of a table: its columns, dependencies and confusable columns.

    Args:
        scan: the table; leading columns `uri` and `row` are left out. Text or typed columns.
        label: the column that is to be predicted; it takes no part in dependencies.
        batch_rows: rows in memory at a time.

    Two scans. Neither the order of the rows nor `batch_rows` changes the result for columns of up
    to 16,384 values; beyond, they move the last digits of `mean` and `std` and what `top` holds
    of values rarer than a thousandth of the rows.

    >>> profile = profile_table(pl.LazyFrame({"city": ["Bonn", "Bonn", None]}), label=None)
    >>> profile.row_count, profile.column("city").null_count
    (3, 1)
    """
    names = list(data_columns(scan))
    scan = scan.select(names)

    def read() -> Iterator[pl.DataFrame]:
        return scan.collect_batches(chunk_size=batch_rows, maintain_order=True, engine="streaming")

    return finish_profile(tally_rows(scan.collect_schema(), read()), label, count_rows(read))


def count_rows(read: Callable[[], Iterable[pl.DataFrame]]) -> Counter:
    """Return what `finish_profile` counts pairs with: the rows that `read` gives once more."""

    def count(candidates: list[Candidate], columns: list[ColumnProfile]) -> None:
        give_counts(candidates, count_pairs(candidates, columns, read()))

    return count


def tally_rows(schema: pl.Schema, batches: Iterable[pl.DataFrame]) -> TableState:
    """Return the state of all rows of `batches`, which have the columns of `schema`."""
    tally = TableTally(schema)
    for batch in batches:
        tally.add(batch)
        del batch  # before the next one is read
    return tally.finish()


def finish_profile(state: TableState, label: str | None, count: Counter) -> TableProfile:
    """Return the profile of the rows that `state` counts; `count` reads them once more.

    Args:
        state: of all rows.
        label: the column that is to be predicted.
        count: adds to each candidate for a dependency what all rows say of it.
    """
    told = read_columns(state)
    if not state.row_count:
        empty = tuple(ColumnProfile(c.name, c.dtype, "constant", 0) for c in told)
        return TableProfile(0, empty, label, scan_count=1)
    columns = tuple(describe_column(column) for column in told)
    features = [c for c in columns if c.name != label]
    # equal rows stand together after the sort: shuffle, or neighbours say nothing
    sample = state.sample.drop(KEY)
    candidates = propose(sample.sample(fraction=1.0, shuffle=True, seed=0), features)
    if candidates:
        count(candidates, features)
    vocabularies = {c.name for c in features if _is_vocabulary(c)}
    words = {
        c.name: c.heavy["value"].select(key="text", count="count")
        for c in told if c.name in vocabularies
    }  # fmt: skip
    found = (confirm(c, features) for c in candidates)
    return TableProfile(
        state.row_count, columns, label, tuple(d for d in found if d is not None),
        find_exchanges(words), count_gaps(sample, columns), measure_associations(sample, columns),
        sample.height, state.sample[KEY].n_unique(), scan_count=1 + bool(candidates),
    )  # fmt: skip


def _is_vocabulary(column: ColumnProfile) -> bool:
    return column.kind == "category" and column.distinct_count <= _WORD_CAP


def row_metrics(scan: pl.LazyFrame, profile: TableProfile) -> pl.LazyFrame:
    """Return, lazily, how each row is filled: uri, row and counts of its cells by what they are.

    missing_count (null, NaN, empty or blank), placeholder_count, nonfinite_count, unreadable_count
    (no number where numbers are expected), each Int64; missing_frac 0..1.
    """
    told = {c.name: c for c in profile.features if c.is_plain}
    text = {n: text_of(n, c.dtype) for n, c in told.items()}
    nothing = [pl.lit(0, pl.Int64)]
    missing = [pl.col(n).is_null() | (text[n] == "").fill_null(value=False) for n in told]
    missing += [pl.col(n).is_nan().fill_null(value=False) for n, c in told.items() if c.nan_count]
    words = [is_placeholder(text[n]) for n, c in told.items() if c.is_text]
    floats = [
        pl.col(n).is_infinite().fill_null(value=False) for n, c in told.items() if c.inf_count
    ]
    unread = [
        number_of(n, c.dtype).is_null() & text[n].is_not_null() & (text[n] != "")
        & ~is_placeholder(text[n], strict=True)
        for n, c in told.items() if c.is_text and c.kind == "number"
    ]  # fmt: skip
    counts = {"missing_count": missing, "placeholder_count": words,
              "nonfinite_count": floats, "unreadable_count": unread}  # fmt: skip
    summed = {
        k: pl.sum_horizontal([*nothing, *(e.cast(pl.Int64) for e in v)]) for k, v in counts.items()
    }
    share = pl.col("missing_count").cast(pl.Float64) / max(len(told), 1)
    return scan.select(*KEYS, **summed).with_columns(missing_frac=share)
