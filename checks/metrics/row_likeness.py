"""Rows that are equal in all but a few cells, and how surprising that is in this table.

Columns are put into a few groups, those that follow each other into one. Two rows that differ in
two cells agree on all groups but two, so they meet under one of the keys that leave two groups
out: sorting by each key finds them, whatever the size of the table. How surprising an agreement is
counts in bits: -log2 of the share of rows that hold a group's values, summed over the groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, log, log2

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.metrics.tabular_profile import ColumnProfile

GROUPS = 6  # 15 keys; a key holds two thirds of the columns
GROUPS_MIN = 3  # fewer leave no group to agree on
LEVELS = 16  # of a column, when its dependence on another one is measured
DEPENDENT = 0.25  # of the smaller entropy, that two columns share
WIDE = 60  # columns; beyond, dependence is not measured
WINDOW = 8  # neighbours in the order of a key that a row is compared with
Codes = npt.NDArray[np.int64]
Bits = npt.NDArray[np.floating]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Hashed:
    """What is kept of every row: sample_id, and a hash and the bits of each group, (N, G)."""

    ids: pl.Series
    words: Words
    bits: Bits


def cell_of(column: ColumnProfile) -> pl.Expr:
    """A cell as rows compare it: a number, or a text without outer blanks; null where missing."""
    value = column.number if column.kind == "number" else column.text
    return value.alias(column.name)


def group_columns(sample: pl.DataFrame) -> list[list[str]]:
    """Return the columns of `sample` in at most `GROUPS` groups of about equal entropy.

    Args:
        sample: cells of some rows.

    Columns that share a quarter of the smaller one's entropy come into one group, closest first,
    as long as `GROUPS_MIN` + 1 groups are left: what follows from another cell surprises nobody.
    """
    names = sorted(sample.columns)
    home = {name: name for name in names}
    for name, other in _list_dependent(sample, names):
        if len(set(home.values())) > GROUPS_MIN + 1 and home[name] != home[other]:
            old = home[other]
            home = {n: home[name] if h == old else h for n, h in home.items()}
    size = {name: _entropy(sample[name]) for name in names}
    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(home[name], []).append(name)
    ranked = sorted(parts.values(), key=lambda part: (-sum(size[n] for n in part), part))
    groups: list[list[str]] = [[] for _ in range(min(GROUPS, len(ranked)))]
    for part in ranked:
        least = min(groups, key=lambda group: (sum(size[n] for n in group), group))
        least += part
    return groups


def _list_dependent(sample: pl.DataFrame, names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of columns that follow each other, the closest first."""
    if len(names) > WIDE:
        return []
    coded = {name: _code_coarsely(sample[name]) for name in names}
    own = {name: _entropy_of(np.bincount(codes)) for name, codes in coded.items()}
    levels = {name: np.unique(codes).size for name, codes in coded.items()}
    found = []
    for name, other in combinations(names, 2):
        joint = _entropy_of(np.bincount(coded[name] * (LEVELS + 1) + coded[other]))
        least = min(own[name], own[other])
        # what finds itself shared by chance in so few rows (Miller 1955)
        free = (levels[name] - 1) * (levels[other] - 1)
        chance = free / (2 * log(2) * max(sample.height, 1))
        share = (own[name] + own[other] - joint - chance) / least if least > 0 else 0.0
        if share >= DEPENDENT:
            found.append((-round(share, 6), name, other))
    return [(name, other) for _, name, other in sorted(found)]


def _code_coarsely(values: pl.Series) -> Codes:
    """At most `LEVELS` levels: the values themselves, tenths of numbers, or the commonest texts."""
    if values.n_unique() <= LEVELS:
        return values.rank("dense").fill_null(0).cast(pl.Int64).to_numpy().astype(np.int64)
    if values.dtype.is_numeric():
        ranks = values.rank("average").fill_null(0).to_numpy()
        return (ranks * 10 / (len(values) + 1)).astype(np.int64)
    common = values.drop_nulls().value_counts().sort("count", values.name, descending=[True, False])
    kept = common[values.name].head(LEVELS - 1).to_list()
    codes = values.replace_strict(kept, range(1, len(kept) + 1), default=0, return_dtype=pl.Int64)
    return codes.to_numpy().astype(np.int64)


def _entropy(values: pl.Series) -> float:
    return _entropy_of(values.value_counts()["count"].sort().to_numpy())


def _entropy_of(counts: npt.NDArray[np.integer]) -> float:
    """Entropy of counts, bits."""
    shares = np.sort(counts[counts > 0]) / max(int(counts.sum()), 1)
    return float(-(shares * np.log2(shares)).sum())


def hash_rows(rows: pl.LazyFrame, cells: Sequence[pl.Expr], groups: list[list[str]]) -> Hashed:
    """Return a hash and the bits of each group, for the first row of each content, by sample_id.

    Args:
        rows: sample_id and the columns.
        cells: `cell_of` each column.
        groups: of the names of `cells`.
    """
    place = {name: at for at, name in enumerate(sorted(n for group in groups for n in group))}
    hashes = [
        pl.sum_horizontal(pl.col(n).hash(seed=place[n]) for n in group).alias(f"\x1f{at}")
        for at, group in enumerate(groups)
    ]
    first = rows.filter(pl.col("sample_id").str.ends_with("-0"))
    hashed = first.select("sample_id", *cells).select("sample_id", *hashes)
    frame = hashed.collect(engine="streaming").sort("sample_id")
    words = frame.drop("sample_id").to_numpy().astype(np.uint64)
    return Hashed(frame["sample_id"], words, _count_bits(words))


def _count_bits(words: Words) -> Bits:
    """-log2 of the share of rows that hold a group's value, (N, G)."""
    bits = np.empty(words.shape, np.float32)
    for at in range(words.shape[1]):
        _, inverse, counts = np.unique(words[:, at], return_inverse=True, return_counts=True)
        bits[:, at] = np.log2(len(words) / counts)[inverse]
    return bits


def find_candidates(hashed: Hashed, bits_min: float, pairs_max: int) -> tuple[Codes, int]:
    """Return pairs of rows that agree on all groups but two at most, (P, 2), and their number.

    Args:
        hashed: of all rows.
        bits_min: rows that hold fewer bits in all are left out: no agreement of theirs surprises.
        pairs_max: pairs that are returned, those with the most bits in agreeing groups.
    """
    kept = np.flatnonzero(hashed.bits.sum(axis=1) >= bits_min)
    words, bits = hashed.words[kept], hashed.bits[kept]
    whole = words.sum(axis=1, dtype=np.uint64)
    left_out = combinations(range(words.shape[1]), 2)
    found = [_meet(whole - words[:, one] - words[:, other]) for one, other in left_out]
    keys = np.unique(np.concatenate(found))
    left, right = keys // max(len(kept), 1), keys % max(len(kept), 1)
    held = (bits[left] * (words[left] == words[right])).sum(axis=1)
    order = np.argsort(-held, kind="stable")[:pairs_max]
    return np.stack([kept[left[order]], kept[right[order]]], axis=1), len(keys)


def _meet(key: Words) -> Codes:
    """Pairs of rows with one key, as left * N + right: each with the next ones in its order."""
    order = np.argsort(key, kind="stable")
    ranked, found = key[order], [np.empty(0, np.int64)]
    for step in range(1, min(WINDOW, len(key) - 1) + 1):
        same = np.flatnonzero(ranked[step:] == ranked[:-step])
        found.append(order[same] * len(key) + order[same + step])  # stable: left before right
    return np.concatenate(found)


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Pairs of rows, cell by cell. differs: (P, D). bits: (P,), of all cells that agree."""

    differs: npt.NDArray[np.bool_]
    bits: Bits


def compare_rows(
    cells: pl.DataFrame, pairs: Codes, joint: Bits, groups: list[list[str]], sample: pl.DataFrame
) -> Compared:
    """Compare the rows of each pair, and count the bits of what they share.

    Args:
        cells: the columns of the rows that `pairs` point into.
        pairs: (P, 2), positions in `cells`.
        joint: (P, G), the bits of each group of the left row.
        groups: of columns.
        sample: cells of some rows, for the share of each single value.

    A group counts whole where all of its cells agree; where some do, only its rarest agreeing
    value counts, since the others may follow from it.
    """
    names = cells.columns
    left, right = pairs.T
    differs = np.empty((len(pairs), len(names)), bool)
    rarity = np.zeros((len(pairs), len(names)))
    for at, name in enumerate(names):
        codes = cells[name].rank("dense").fill_null(0).to_numpy()
        differs[:, at] = codes[left] != codes[right]
        rarity[:, at] = _rarity(cells[name], sample[name])[left]
    rarity[differs] = 0.0
    bits = np.zeros(len(pairs))
    for group, whole in zip(groups, joint.T, strict=True):
        members = [names.index(name) for name in group]
        agrees = ~differs[:, members].any(axis=1)
        bits += np.where(agrees, whole, rarity[:, members].max(axis=1))
    return Compared(differs, bits)


def _rarity(values: pl.Series, sample: pl.Series) -> Bits:
    """-log2 of the share of rows that hold each value, by a sample; unseen ones count once."""
    counts = sample.rename("value").value_counts(name="count")
    known = values.rename("value").to_frame().join(
        counts, on="value", how="left", nulls_equal=True, maintain_order="left"
    )  # fmt: skip
    seen = known["count"].fill_null(0).to_numpy().astype(np.float64)
    return -np.log2((seen + 1) / (len(sample) + 1))


def allow_bits(rows: int, columns: int, differing: int, chance_max: float) -> float:
    """Return the bits that an agreement needs, so that chance gives `chance_max` such pairs.

    Args:
        rows: of the table.
        columns: of the table.
        differing: how many cells of the pair differ; which ones they are, chance may choose.
        chance_max: pairs among all rows that chance may give.

    >>> round(allow_bits(1000, 10, 1, 0.1), 2)
    25.57
    """
    pairs = rows * (rows - 1) / 2 * comb(columns, differing)
    return log2(max(pairs, 1.0) / chance_max)
