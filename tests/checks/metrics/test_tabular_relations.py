"""What a profile knows between columns and between values."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.metrics.tabular import profile_table
from checks.metrics.tabular_dependencies import find_exchanges, propose
from checks.metrics.tabular_expected import blame, expect
from checks.metrics.tabular_profile import ColumnProfile
from checks.metrics.tabular_spelling import close_pairs
from checks.metrics.tabular_words import repair_mojibake


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


def test_a_second_value_of_a_key_is_variation() -> None:
    """A key that holds a second value in a tenth of its rows is dropped, the others stay."""
    rows = [(f"k{i % 20}", f"v{i % 20}") for i in range(2000)]
    rows = [(key, "other" if key == "k3" and i < 200 else f"v{i % 19}" if i % 50 == 7 else value)
            for i, (key, value) in enumerate(rows)]  # fmt: skip
    table = pl.DataFrame(rows, schema=["key", "value"], orient="row")
    found = profile_table(table.lazy(), label=None).dependencies
    lookup = next(d for d in found if d.determinants == ("key",))
    assert set(lookup.keys) == {f"k{i}" for i in range(20)} - {"k3"}


def joined_table(rows: int = 600) -> pl.DataFrame:
    """A state, a measure, and both joined; which measure a row has does not follow from another."""
    states, measures = ["al", "ak", "az"], ["hf-1", "hf-2", "pn-3", "ami-7"]
    told = [(states[i % 3], measures[i // 3 % 4], f"note {i % 7}") for i in range(rows)]
    frame = pl.DataFrame(told, schema=["state", "measure", "note"], orient="row")
    return frame.with_columns(average=pl.concat_str("state", "measure", separator="_"))


def test_joined_columns_are_found() -> None:
    """A column that joins two others is found with its mark, and goes through JSON."""
    profile = profile_table(joined_table().lazy(), label=None)
    joined = [d for d in profile.dependencies if d.mark is not None]
    assert [(d.determinants, d.dependent, d.mark) for d in joined] == [
        (("state", "measure"), "average", "_")
    ]
    assert type(profile).from_json(profile.to_json()) == profile


@pytest.mark.parametrize(
    ("column", "wrong", "right"),
    [("state", "xl", "al"), ("measure", "hx-1", "hf-1"), ("average", "al_hfx1", "al_hf-1")],
)
def test_joined_columns_tell_each_other(column: str, wrong: str, right: str) -> None:
    """What a part, or the whole, should be follows from the other two cells."""
    clean = joined_table()
    cells = [wrong, *clean[column].to_list()[1:]]
    table = clean.with_columns(pl.Series(column, cells))
    profile = profile_table(table.lazy(), label=None)
    expected = expect(profile)
    told = table.select(value=expected[column].value, outvoted=expected[column].outvoted)
    assert told.row(0) == (right, True)
    assert not told["outvoted"][1:].any()


def test_a_typo_is_no_blame_of_its_key() -> None:
    """A key two of whose dependents are misspelt is not blamed: no key asks for such words."""
    rows = [(f"k{i % 9}", f"a{i % 9}", f"b{i % 9}", f"c{i % 9}") for i in range(900)]
    rows[0] = ("k0", "axx", "bxx", "c0")
    rows[1] = ("k1", "a5", "b5", "c5")
    table = pl.DataFrame(rows, schema=["key", "one", "two", "three"], orient="row")
    blamed = blame(profile_table(table.lazy(), label=None))["key",]
    assert table.select(blamed).to_series().arg_true().to_list() == [1]


def test_a_wide_table_is_bounded() -> None:
    """Of 300 columns the first 256 take part: nothing grows with all pairs of columns."""
    rows = pl.DataFrame({f"c{i:03}": [f"{j % 5}" for j in range(40)] for i in range(300)})
    columns = [ColumnProfile(n, "String", "category", 40, distinct_count=5) for n in rows.columns]
    assert {c.dependent for c in propose(rows, columns)} == set(rows.columns[:256])


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 9), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_exchanges_equal_the_plain_count(one: int, two: int, three: int, four: int) -> None:
    """The pairs that share few values are those that comparing the two lists finds."""
    left = {"a": 50, "b": one, "c": three}
    right = {"c": two, "b": four, "d": 60}
    told = {n: pl.DataFrame({"key": list(d), "count": list(d.values())})
            for n, d in (("l", left), ("r", right))}  # fmt: skip
    frames = {n: frame.filter(pl.col("count") > 0) for n, frame in told.items()}
    shared = {k: (left[k], right[k]) for k in ("b", "c") if left[k] and right[k]}
    both = sum(min(pair) for pair in shared.values())
    small = both * 10 <= min(sum(left.values()), sum(right.values()))
    ways = {pair[0] > pair[1] for pair in shared.values() if pair[0] != pair[1]}
    assert bool(find_exchanges(frames)) == (small and ways == {True, False})
