"""How a table writes that there is no value: its own word is a convention, others disguises."""

from __future__ import annotations

from checks.metrics.tabular_profile import TableProfile
from checks.metrics.tabular_words import DOUBTFUL_PLACEHOLDERS, PLACEHOLDERS

OWN_MARKER = "the word that the whole table has for a missing value"
_COLUMNS_MIN = 2  # a word of one column is that column's alone


def own_markers(profile: TableProfile) -> frozenset[str]:
    """Return the words, in small letters, that the table as a whole writes for a missing value.

    At most two: one that is no value anywhere (`?`), and one that may be a word of a column's own
    (`none`). Each stands in at least two columns, in more cells than any other of its sort and
    than the cells that are empty or null: where a table leaves cells empty, a word is a disguise.

    Source: ours; Qahtan et al. 2018 (FAHES) call any such word disguised, but `?` in every gap of
    a table is how it was written.

    >>> import polars as pl
    >>> from checks.metrics.tabular import profile_table
    >>> rows = {"town": ["Bonn", "?", "Ulm"] * 9, "size": ["1", "2", "?"] * 9}
    >>> sorted(own_markers(profile_table(pl.LazyFrame(rows), label=None)))
    ['?']
    """
    gaps = sum(c.null_count + c.empty_count + c.blank_count for c in profile.features)
    cells: dict[str, int] = {}
    columns: dict[str, set[str]] = {}
    for column in profile.features:
        for text, count in column.top:
            word = text.lower()
            cells[word] = cells.get(word, 0) + count
            columns.setdefault(word, set()).add(column.name)
    own = set()
    for sort in (PLACEHOLDERS, DOUBTFUL_PLACEHOLDERS):
        held = [w for w in sort if len(columns.get(w, ())) >= _COLUMNS_MIN and cells[w] > gaps]
        own |= set(sorted(held, key=lambda word: (-cells[word], word))[:1])
    return frozenset(own)
