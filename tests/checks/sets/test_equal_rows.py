"""Equal rows of a table: within a split, across splits, and under another label."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tests.checks.sets.tables import CHECKS, judge, tables_of

EQUAL = ("exact_duplicate", "cross_split_leak", "conflicting_labels")
FRAME = pl.DataFrame(
    {
        "age": [31, 31, 40, 40, 52, 52, 60, 61],
        "town": ["Bonn", "Bonn", "Ulm", "Ulm", None, None, "", None],
        "split": ["train", "train", "train", "test", "train", "test", "train", "train"],
        "label": ["a", "a", "b", "b.", "a", "b.", "b", "a"],
    }
)


def rows_found(tables: dict[str, pl.LazyFrame], check_id: str) -> set[int]:
    """Positions of the rows that a check flags."""
    found = judge(check_id, tables).findings
    return set(tables["samples"].collect().join(found, on="sample_id")["row"])


def test_equal_rows_are_told_apart_by_split_and_label() -> None:
    """Rows 0 and 1 are copies, 2 and 4 leak into test, 4 and 5 contradict; spelling is no matter.

    The label is no part of what makes rows equal, and null is not the same as empty.
    """
    tables = tables_of(FRAME, label="label", split="split")
    first, leaks, conflicts = (rows_found(tables, check) for check in EQUAL)
    assert first in ({0}, {1})
    assert (leaks, conflicts) == ({2, 4}, {4, 5})


def test_evidence_speaks_of_rows() -> None:
    """What is said of equal rows names the other row, and no bits of a picture."""
    tables = tables_of(FRAME, label="label", split="split")
    told = judge("cross_split_leak", tables).findings["evidence"].to_list()
    assert all(text.endswith(" in test") and "bits" not in text for text in told)


def test_equal_rows_of_the_census(shared_data: Path) -> None:
    """The known copies of the census table are found: 24 and 5 within its files, 28 across them.

    Of the 28 pairs across the files five carry another income; the other 23 are the known ones.
    """
    folder = shared_data / "tables" / "adult"
    frames = [
        pl.read_csv(folder / f"{split}.csv", infer_schema=False).with_columns(split=pl.lit(split))
        for split in ("train", "test")
    ]
    tables = tables_of(pl.concat(frames), label="income", split="split")
    samples = tables["samples"].collect()
    found = {check: judge(check, tables).findings for check in (*EQUAL, "label_spelling")}
    copies = found["exact_duplicate"].join(samples, on="sample_id")
    assert dict(copies.group_by("split").len().iter_rows()) == {"train": 24, "test": 5}
    assert found["cross_split_leak"].height == 28
    assert found["conflicting_labels"].height == 10
    assert found["label_spelling"]["suggestion"].sort().to_list() == ["<=50K", ">50K"]
    assert CHECKS["label_spelling"].severity == "error"
