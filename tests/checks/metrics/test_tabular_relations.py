"""What a profile knows between columns and between values."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.metrics.tabular import profile_table
from checks.metrics.tabular_spelling import close_pairs, edit_distance
from checks.metrics.tabular_words import repair_mojibake

words = st.text(alphabet="abc", max_size=7)


def oracle(left: str, right: str) -> int:
    """Optimal string alignment over the full matrix."""
    rows = [
        [i + j if not i * j else 0 for j in range(len(right) + 1)] for i in range(len(left) + 1)
    ]
    for i in range(1, len(left) + 1):
        for j in range(1, len(right) + 1):
            same = left[i - 1] == right[j - 1]
            best = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (not same))
            if i > 1 and j > 1 and left[i - 1] == right[j - 2] and left[i - 2] == right[j - 1]:
                best = min(best, rows[i - 2][j - 2] + 1)
            rows[i][j] = best
    return rows[-1][-1]


@settings(max_examples=300, deadline=None)
@given(words, words, st.integers(0, 4))
def test_edit_distance_is_exact_up_to_its_limit(left: str, right: str, limit: int) -> None:
    """The banded distance equals the full one, or limit + 1 beyond it."""
    assert edit_distance(left, right, limit) == min(oracle(left, right), limit + 1)


def test_a_common_typo_is_no_rival() -> None:
    """A rarer misspelling is led to the word that was meant, not to its commoner misspelling."""
    values = pl.DataFrame({"key": ["BOEING CO", "BOEIN CO", "BOEI CO"], "count": [5000, 9, 1]})
    meant = {pair.rare: pair.frequent for pair in close_pairs(values)}
    assert meant == {"BOEI CO": "BOEING CO", "BOEIN CO": "BOEING CO"}


def test_pairs_of_columns_are_found() -> None:
    """A column that two others fix together is found, with the value of each key."""
    cities = ["A", "B", "C", "D"]
    rows = [
        (a, b, float(10 * i + 7 * j)) for i, a in enumerate(cities) for j, b in enumerate(cities)
    ]
    table = pl.DataFrame(rows * 12, schema=["from", "to", "miles"], orient="row")
    found = profile_table(table.lazy(), label=None).dependencies
    pair = next(d for d in found if d.determinants == ("from", "to"))
    assert (pair.dependent, pair.violation_count, len(pair.keys)) == ("miles", 0, 16)


def test_variation_is_no_dependency() -> None:
    """Keys that each hold two values time and again are left alone."""
    table = pl.DataFrame(
        {
            "key": [f"k{i % 20}" for i in range(2000)],
            "crew": [f"c{(i % 20 + (i % 200 >= 180)) % 20}" for i in range(2000)],
        }
    )
    assert not profile_table(table.lazy(), label=None).dependencies


@given(st.text(alphabet="aéüßÑ–’œ ", max_size=12))  # noqa: RUF001
def test_mojibake_is_undone(text: str) -> None:
    """Text spoilt by reading UTF-8 as Windows-1252 comes back, where that can be read at all."""
    try:
        spoilt = text.encode().decode("cp1252")
    except UnicodeDecodeError:
        return
    assert pl.select(repair_mojibake(pl.lit(spoilt))).item() == text
