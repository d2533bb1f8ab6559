"""Rows entered twice: planted ones are found with their originals, chance and rhythm are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from checks.core.run import SetOutcome
from tests.checks.sets.tables import judge, tables_of

ROWS, COPIES = 4000, 100
CHECK = "near_duplicate_row"


def made(seed: int = 0) -> pl.DataFrame:
    """Rows of eight columns, common values and rare ones, that have nothing to do with others."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "name": [f"name {at}" for at in rng.integers(0, 2000, ROWS)],
            "town": [f"town {at}" for at in rng.zipf(1.6, ROWS) % 100],
            "age": rng.integers(18, 90, ROWS), "height": rng.normal(170, 9, ROWS).round(1),
            "income": rng.lognormal(10, 0.6, ROWS).round(0),
            "score": rng.random(ROWS).round(3), "grade": rng.choice([*"ABCD"], ROWS),
            "key": rng.permutation(ROWS) + 1000,
        }
    )  # fmt: skip


def plant(frame: pl.DataFrame, seed: int = 1) -> tuple[pl.DataFrame, dict[int, int]]:
    """Copies at the end with a new key and one or two cells of other rows; and whose they are."""
    rng = np.random.default_rng(seed)
    taken = rng.choice(ROWS, COPIES, replace=False)
    cells = frame[taken.tolist()].with_columns(key=pl.Series(np.arange(COPIES) + 9000)).to_dicts()
    names = [name for name in frame.columns if name != "key"]
    for row in cells:
        for name in rng.choice(names, rng.integers(1, 3), replace=False):
            row[name] = frame[str(name)][int(rng.integers(ROWS))]
    whole = pl.concat([frame, pl.DataFrame(cells, schema=frame.schema)])
    return whole, {ROWS + at: int(original) for at, original in enumerate(taken)}


def pairs_of(found: SetOutcome, tables: dict[str, pl.LazyFrame]) -> dict[int, int]:
    """Which row was flagged for which."""
    rows = tables["samples"].select("sample_id", "row").collect()
    both = found.findings.select("sample_id", "suggestion").join(rows, on="sample_id")
    named = both.join(rows, left_on="suggestion", right_on="sample_id", suffix="_other")
    return dict(named.select("row", "row_other").iter_rows())


def test_planted_copies_are_found_and_nothing_else() -> None:
    """At least 85 % of copies with one or two strange cells are found, each with its original."""
    whole, truth = plant(made())
    tables = tables_of(whole)
    found = pairs_of(judge(CHECK, tables), tables)
    assert {row: truth.get(row) for row in found} == found
    assert len(found) >= 0.85 * COPIES


def test_unrelated_rows_are_not_flagged() -> None:
    """Twelve tables of unrelated rows give no more pairs than chance may: one in ten tables."""
    few = [f"c{at}" for at in range(12)]
    rng = np.random.default_rng(4)
    tables = [made(seed) for seed in range(6)]
    tables += [pl.DataFrame({n: rng.integers(0, 4, ROWS) for n in few}) for _ in range(6)]
    assert sum(judge(CHECK, tables_of(one)).findings.height for one in tables) <= 3


def test_columns_that_follow_each_other_count_once() -> None:
    """A town with its land, region and code is no more surprising than the town alone."""
    frame = made().select("town", "grade", "age").with_columns(
        land=pl.format("land of {}", "town"), code=pl.format("code of {}", "town"),
        region=pl.format("region of {}", "town"), tax=pl.format("tax of {}", "town"),
        rate=pl.format("rate of {}", "town"), zone=pl.format("zone of {}", "town"),
    )  # fmt: skip
    assert judge(CHECK, tables_of(frame)).findings.is_empty()


def test_a_rhythm_is_told_and_not_flagged() -> None:
    """Readings that stay as they were while time goes on are what this table is like."""
    rng = np.random.default_rng(5)
    steady = np.repeat(np.arange(ROWS // 4), 4)
    frame = pl.DataFrame({f"m{at}": rng.random(ROWS // 4)[steady].round(4) for at in range(5)})
    frame = frame.with_columns(second=pl.Series(np.arange(ROWS) * 1.5))
    found = judge(CHECK, tables_of(frame))
    assert found.findings.is_empty()
    assert found.facts[CHECK]["usual"]["second"] > ROWS // 4


@pytest.mark.parametrize("held", ["val", "test"])
def test_the_train_side_is_flagged(held: str) -> None:
    """Of a pair across splits the train row is flagged for the one that is held out."""
    whole, truth = plant(made())
    copies = pl.int_range(pl.len()) >= ROWS
    split = pl.when(copies).then(pl.lit(held)).otherwise(pl.lit("train"))
    tables = tables_of(whole.with_columns(split=split), split="split")
    found = judge(CHECK, tables)
    assert {truth[copy] for copy in pairs_of(found, tables).values()} == set(
        pairs_of(found, tables)
    )
    assert found.findings["evidence"].str.contains(f" in {held} but for ", literal=True).all()


def test_evidence_shows_what_differs() -> None:
    """The evidence names the columns that differ with both cells, as one would write them."""
    frame = made()
    copy = frame[7:8].with_columns(age=pl.lit(99, pl.Int64), key=pl.lit(7, pl.Int64))
    found = judge(CHECK, tables_of(pl.concat([frame, copy]))).findings
    age = frame["age"][7]
    assert found["evidence"][0].endswith(f"in train but for age (99, there {age})")


def test_copies_under_a_new_key_are_found() -> None:
    """Rows that differ in their key alone, which no digest finds, are told as such."""
    frame = made()
    copies = frame[:10].with_columns(key=pl.Series(range(10)))
    found = judge(CHECK, tables_of(pl.concat([frame, copies])))
    assert found.findings.height == 10
    assert found.findings["evidence"].str.ends_with("but for its key").all()


def test_what_is_not_judged_is_told() -> None:
    """Two columns, or more rows than asked for, are not silently fine."""
    for tables, settings in ((tables_of(made().select("age", "grade")), {}),
                             (tables_of(made()), {"rows_max": 100})):  # fmt: skip
        assert "not_judged" in judge(CHECK, tables, **settings).facts[CHECK]


def test_a_table_of_few_categories_is_left_alone(shared_data: Path) -> None:
    """Of 32,561 census rows a dozen share a rare weight and nearly all else: no more are named."""
    frame = pl.read_csv(shared_data / "tables" / "adult" / "train.csv", infer_schema=False)
    found = judge(CHECK, tables_of(frame, label="income"))
    assert 1 <= found.findings.height <= 16
