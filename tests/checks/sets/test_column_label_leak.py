"""Columns that tell the label: planted ones are named, honest ones and identifiers are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.metrics.tellers import guess_labels
from tests.checks.sets.tables import judge, tables_of

ROWS = 2000


def made(seed: int = 0) -> pl.DataFrame:
    """Rows of three classes with honest columns: two that help a little, one that does not."""
    rng = np.random.default_rng(seed)
    label = rng.choice(3, ROWS, p=[0.5, 0.3, 0.2])
    return pl.DataFrame(
        {
            "age": rng.normal(40 + 6 * label, 10).round(1),
            "town": [f"t{at}" for at in (label + rng.integers(0, 4, ROWS)) % 5],
            "noise": rng.normal(size=ROWS),
            "key": [f"k{at:06}" for at in rng.permutation(ROWS)],
            "label": [f"c{at}" for at in label],
        }
    )


def with_label_number(noise: float) -> pl.Expr:
    """The number of the class, some of them drawn anew."""
    rng = np.random.default_rng(5)
    spoilt = pl.Series(rng.random(ROWS) < noise)
    drawn = pl.Series(rng.integers(0, 3, ROWS))
    number = pl.col("label").str.slice(1).cast(pl.Int64)
    return pl.when(spoilt).then(drawn).otherwise(number)


@pytest.mark.parametrize(
    "leak",
    [
        with_label_number(0.02),
        with_label_number(0.0) * 100 + pl.col("noise"),
        pl.when(pl.col("label") != "c0").then(pl.col("label")),
        pl.format("code-{}", with_label_number(0.02)),
    ],
    ids=["number", "range", "missing", "name"],
)
def test_planted_leaks_are_named(leak: pl.Expr) -> None:
    """A class number, a range of numbers, a gap for one class and a code are named, once each."""
    found = judge("column_label_leak", tables_of(made().with_columns(after=leak), label="label"))
    assert found.findings["column"].to_list() == ["after"]
    assert found.findings["value"][0] >= 0.95


def test_honest_columns_are_not_named() -> None:
    """Columns that help, noise and keys pass, and the facts tell how much each of them says."""
    found = judge("column_label_leak", tables_of(made(), label="label"))
    assert found.findings.is_empty()
    facts = found.facts["column_label_leak"]
    assert facts["columns_judged"] == 3, "a key tells rows, not labels"
    assert max(facts["gains"].values()) < 0.5


def test_a_leak_in_the_test_split_alone_is_none() -> None:
    """Only train rows are judged: what a test split holds teaches nobody."""
    frame = made().with_columns(after=with_label_number(0), split=pl.lit("test"))
    assert judge(
        "column_label_leak", tables_of(frame, label="label", split="split")
    ).findings.is_empty()


def test_few_open_rows_are_not_judged() -> None:
    """Where all but 20 rows carry one label, a column that tells those proves nothing."""
    rare = np.arange(ROWS) < 20
    frame = pl.DataFrame({"after": rare.astype(int), "x": np.arange(ROWS) % 7,
                          "label": np.where(rare, "b", "a")})  # fmt: skip
    assert judge("column_label_leak", tables_of(frame, label="label")).findings.is_empty()
    loose = judge("column_label_leak", tables_of(frame, label="label"), open_count_min=10)
    assert loose.findings["column"].to_list() == ["after"]


def test_copies_do_not_tell() -> None:
    """Copies of a row lie in one half, so values that only copies share tell nothing."""
    rng = np.random.default_rng(3)
    one = pl.DataFrame({"group": np.arange(100), "label": rng.choice(["a", "b"], 100)})
    copied = pl.concat([one] * 20)
    assert judge("column_label_leak", tables_of(copied, label="label")).findings.is_empty()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=2, max_size=60))
def test_guesses_against_plain_counting(cells: list[tuple[int, int]]) -> None:
    """Counts agree with guessing row by row, and never exceed the rows."""
    places, labels = (np.array(part, np.int64) for part in zip(*cells, strict=True))
    halves = np.arange(len(cells)) % 2 == 0
    right = common = 0
    for at, (place, label) in enumerate(cells):
        other = labels[halves != halves[at]]
        usual = int(np.bincount(other, minlength=3).argmax())
        same = np.bincount(labels[(halves != halves[at]) & (places == place)], minlength=3)
        guess = usual if same[usual] == same.max() else int(same.argmax())
        right, common = right + (guess == label), common + (usual == label)
    told = guess_labels(places, labels, halves)
    assert (told.right, told.common, told.rows) == (right, common, len(cells))


def test_no_column_of_a_real_table_is_named(shared_data: Path) -> None:
    """No column of the census table tells the income; the best goes a fifth of the way."""
    frame = pl.read_csv(shared_data / "tables" / "adult" / "train.csv", infer_schema=False)
    found = judge("column_label_leak", tables_of(frame, label="income"))
    assert found.findings.is_empty()
    assert 0.1 < max(found.facts["column_label_leak"]["gains"].values()) < 0.3
