"""Labels of each split, counted in one spelling."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from checks.core.words import SPLITS
from checks.metrics.label_spelling import count_labels, match_spellings

Counts = dict[str, dict[str, int]]


def read_labelled(tables: Mapping[str, pl.LazyFrame], *more: str) -> pl.DataFrame:
    """Return sample_id, split, label and `more` of the labelled samples, sorted by sample_id.

    `<=50K.` in test is the class `<=50K` of train, as `label_spelling` tells.
    """
    columns = ["sample_id", "split", "label", *more]
    held = tables["samples"].select(columns).drop_nulls("label").sort("sample_id").collect()
    return _spell_alike(held)


def read_vectors(tables: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    """Return sample_id, split, label and features of those that have the last two, by sample_id.

    Labels are in one spelling, by what stands in these samples: see `read_labelled`.
    """
    samples = tables["samples"].select("sample_id", "split", "label").drop_nulls("label")
    features = tables["features"].select("sample_id", "features").drop_nulls("features")
    held = samples.join(features, on="sample_id").sort("sample_id").collect()
    return _spell_alike(held)


def _spell_alike(held: pl.DataFrame) -> pl.DataFrame:
    return held.with_columns(pl.col("label").replace(match_spellings(*count_labels(held))))


def count_shares(labelled: pl.DataFrame) -> Counts:
    """Return how many samples of each class each split holds, 0 where it has none.

    Splits without a labelled sample are left out; classes are sorted.

    >>> frame = pl.DataFrame({"split": ["train", "train", "test"], "label": ["a", "b", "a"]})
    >>> count_shares(frame)
    {'train': {'a': 1, 'b': 1}, 'test': {'a': 1, 'b': 0}}
    """
    classes = labelled["label"].unique().sort().to_list()
    counted = {(s, c): n for s, c, n in labelled.group_by("split", "label").len().iter_rows()}
    there = [split for split in SPLITS if split in set(labelled["split"])]
    return {split: {name: counted.get((split, name), 0) for name in classes} for split in there}


def show_first(labelled: pl.DataFrame) -> dict[str, str]:
    """Return the first sample of each class, by sample_id, for findings about the whole class.

    >>> show_first(pl.DataFrame({"sample_id": ["s2", "s1"], "label": ["a", "a"]}))
    {'a': 's1'}
    """
    first = labelled.sort("sample_id").unique("label", keep="first", maintain_order=True)
    return dict(first.select("label", "sample_id").iter_rows())
