"""How a table writes that there is no value: its own marker is a convention, others are disguises."""

from __future__ import annotations

from checks.metrics.tabular_profile import TableProfile
from checks.metrics.tabular_words import DOUBTFUL_PLACEHOLDERS, PLACEHOLDERS

OWN_MARKER = "the word that the whole table has for a missing value"
_COLUMNS_MIN = 2  # a word of one column is that column's alone
_WORDS = frozenset((*PLACEHOLDERS, *DOUBTFUL_PLACEHOLDERS))


def own_marker(profile: TableProfile) -> str | None:
    """Return the word, in small letters, that the table writes for a missing value; None for none.

    It stands in at least two columns, and in more cells than any other such word and than the
    cells that are empty or null: where a table leaves cells empty, a word is a disguise.

    Source: ours; Qahtan et al. 2018 (FAHES) call any such word disguised, but `?` in every gap of
    a table is how it was written.

    >>> from checks.metrics.tabular import profile_table
    >>> rows = {"town": ["Bonn", "?", "Ulm"] * 9, "size": ["1", "2", "?"] * 9, "n": [*range(27)]}
    >>> import polars as pl
    >>> own_marker(profile_table(pl.LazyFrame(rows), label=None))
    '?'
    """
    cells: dict[str, int] = {}
    columns: dict[str, int] = {}
    for column in profile.features:
        gaps = column.null_count + column.empty_count + column.blank_count
        held = {"": gaps} if gaps else {}
        for text, count in column.top:
            word = text.lower()
            if word in _WORDS:
                held[word] = held.get(word, 0) + count
        for word, count in held.items():
            cells[word] = cells.get(word, 0) + count
            columns[word] = columns.get(word, 0) + 1
    # an empty cell needs no second column: it is what empty means
    own = [word for word in cells if not word or columns[word] >= _COLUMNS_MIN]
    best = max(own, key=lambda word: (cells[word], word), default="")
    return best or None
