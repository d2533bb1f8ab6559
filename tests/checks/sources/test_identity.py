from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.core.errors import SourceError
from checks.core.tables import Samples, guard
from checks.sources.identity import digest_rows, identify


def entries(digests: Sequence[str], splits: list[str] | None = None) -> pl.DataFrame:
    """Return entries in the order of their names, one for each one-letter digest."""
    n = len(digests)
    return pl.DataFrame({
        "uri": [f"f{i:04d}" for i in range(n)], "row": [0] * n, "label": ["x"] * n,
        "split": splits or [None] * n, "byte_size": [1] * n,
        "xxh3_128": [f"{ord(d):032x}" for d in digests],
    }, schema_overrides={"split": pl.String})  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(12)))
def test_ids_do_not_depend_on_the_order_of_listing(order: list[int]):
    """Any order of the same entries gives the same samples table."""
    found = entries("abcabcaaabdz")
    expected = guard(Samples, identify(found, 1, 0.2, 0.2), "samples")
    assert identify(found[order], 1, 0.2, 0.2).equals(expected)


def test_copies_are_samples_of_their_own_and_share_a_split():
    """Equal contents count their occurrences and land in one split."""
    found = identify(entries("aab" * 40), 0, 0.3, 0.3)
    assert found["sample_id"].n_unique() == 120
    assert found.group_by("xxh3_128").agg(pl.col("split").n_unique())["split"].to_list() == [1, 1]


def test_a_grown_set_keeps_its_splits():
    """Samples that were there before keep id and split when others come."""
    letters = [chr(0x4E00 + i) for i in range(500)]
    before = identify(entries(letters[:300]), 7, 0.2, 0.2)
    after = identify(entries(letters), 7, 0.2, 0.2)
    kept = before.join(after, on="sample_id", suffix="_after")
    assert kept.height == 300
    assert kept["split"].equals(kept["split_after"].rename("split"))
    shares = after["split"].value_counts()
    assert dict(shares.iter_rows())["train"] == pytest.approx(300, abs=45)


def test_given_splits_are_kept_and_missing_ones_come_from_train():
    """The source's test stays as it is; val, which it lacks, is taken from train alone."""
    letters = [chr(0x4E00 + i) for i in range(400)]
    found = identify(entries(letters, ["train"] * 300 + ["test"] * 100), 3, 0.25, 0.5)
    late = found.filter(pl.col("uri") >= "f0300")["split"]
    early = found.filter(pl.col("uri") < "f0300")["split"]
    assert set(late) == {"test"}
    assert set(early) == {"train", "val"}


def test_shares_that_leave_no_train_are_refused():
    """val_frac and test_frac of 1 together are one clear sentence."""
    with pytest.raises(SourceError, match="leave nothing for train"):
        identify(entries("ab"), 0, 0.5, 0.5)


def test_row_digests_tell_null_empty_and_shifted_cells_apart():
    """Null, empty and text that moved to the next column are different contents."""
    columns = {"a": [None, "", "xy", "x"], "b": ["", None, "z", "yz"]}
    scan = pl.LazyFrame({"uri": ["t"] * 4, "row": [0, 1, 2, 3], **columns})
    assert digest_rows(scan, ["a", "b"])["xxh3_128"].n_unique() == 4


def test_row_digests_do_not_depend_on_type_batch_or_column_order():
    """Numbers and their text, and any order of columns, are one content."""
    n = 45_000
    typed = pl.LazyFrame({"uri": ["t"] * n, "row": range(n), "a": range(n), "b": [0.5] * n})
    text = typed.with_columns(pl.col("a", "b").cast(pl.String)).select("uri", "row", "b", "a")
    assert digest_rows(typed, ["a", "b"]).equals(digest_rows(text, ["b", "a"]))
