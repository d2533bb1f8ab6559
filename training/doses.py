"""Parts of a cleaning and parts of the raw set: which samples an arm in between touches or keeps.

Pure functions of masks. A dose is the surest share of what the cleaning changed; a share of raw
tells what fewer rows would give; a subset is what some groups of checks asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.augment import keyed_bits
from training.errors import TrainingError

Bools = NDArray[np.bool_]
Longs = NDArray[np.int64]
SUBSET_GROUPS_MAX, OTHERS = 5, "others"  # 32 subsets
_SHARE = 8  # stream of keyed draws
_SEVERITIES = ("info", "warning", "error")


def take_surest(order: Longs, touched: Bools, share: float) -> Bools:
    """Return (n,) bool: the surest `share` (0..1) of the touched samples, rounded up.

    order: (n,) int64, 0 the surest; see `rank_reasons`. A larger share holds every smaller one.

    >>> take_surest(np.array([2, 0, 1]), np.array([True, False, True]), 0.5).tolist()
    [False, False, True]
    """
    places = np.flatnonzero(touched)
    chosen = places[np.argsort(order[places], kind="stable")][: _part(share, places.size)]
    taken = np.zeros(touched.size, bool)
    taken[chosen] = True
    return taken


def keep_share(labels: Longs, keep: Bools, share: float, seed: int) -> Bools:
    """Return (n,) bool: `share` (0..1) of the kept samples of each class, at least one of each.

    Drawn anew for each seed; under one seed a larger share holds every smaller one.

    >>> int(keep_share(np.array([0, 0, 0, 0, 1, 1]), np.ones(6, bool), 0.5, 0).sum())
    3
    """
    drawn, taken = keyed_bits(seed, _SHARE, np.arange(labels.size)), np.zeros(labels.size, bool)
    for label in np.unique(labels[keep]):
        members = np.flatnonzero(keep & (labels == label))
        taken[members[np.argsort(drawn[members])][: _part(share, members.size)]] = True
    return taken


def _part(share: float, count: int) -> int:
    return int(np.ceil(round(share * count, 9)))


def unite(groups: Mapping[str, Bools], bits: str) -> Bools:
    """Return (n,) bool: the samples that at least one of the groups whose bit is 1 changed.

    bits: one of 0 and 1 for each group, in the order of `groups`.

    Raises:
        TrainingError: if there is not one bit for each group.

    >>> two = {"a": np.array([True, False, False]), "b": np.array([True, True, False])}
    >>> unite(two, "10").tolist(), unite(two, "00").tolist()
    ([True, False, False], [False, False, False])
    """
    if len(bits) != len(groups) or set(bits) - {"0", "1"} or not groups:
        allowed = f"One of 0 and 1 for each of: {', '.join(groups)}."
        raise TrainingError("experiment", "no such set of groups", got=bits, allowed=allowed)
    chosen = [mask for mask, bit in zip(groups.values(), bits, strict=True) if bit == "1"]
    first = next(iter(groups.values()))
    united: Bools = np.any([np.zeros_like(first), *chosen], axis=0)
    return united


def name_subsets(groups: Sequence[str]) -> tuple[str, ...]:
    """Return the arms of all sets of groups but the empty one, which is raw.

    Raises:
        TrainingError: if there are more than 5 groups: 2^k arms are to be trained.

    >>> name_subsets(["copies", "labels"])
    ('set:01', 'set:10', 'set:11')
    """
    if len(groups) > SUBSET_GROUPS_MAX:
        raise TrainingError(
            "training.subsets", "too many groups of checks", got=len(groups),
            allowed=f"At most {SUBSET_GROUPS_MAX}.", advice="Join some of them into one group.",
        )  # fmt: skip
    return tuple(f"set:{at:0{len(groups)}b}" for at in range(1, 2 ** len(groups)))


def group_changes(
    ledger: pl.DataFrame,
    keys: NDArray[np.str_],
    touched: Bools,
    groups: Mapping[str, Sequence[str]] | None = None,
    acting: Collection[str] | None = None,
) -> dict[str, Bools]:
    """Return for each group of checks the changed samples that it gave a reason for, (n,) bool.

    ledger: key and reasons. keys: (n,) of the train samples. touched: (n,) bool, what cleaning
    changed. acting: ids of the checks that ask for a change; None: all. groups: check ids by
    group; None: each acting check is one. Where these are more than five, or leave changed samples
    over that only a person asked for, the four that changed most are, and `others` has the rest:
    so that all groups together are the cleaning, and their parts its whole effect.
    """
    reasons = ledger.select("key", check=pl.col("reasons").list.eval(
        pl.element().struct.field("check_id"))).explode("check").drop_nulls()  # fmt: skip
    reasons = reasons.filter(pl.col("key").is_in(keys[touched].tolist())).unique()
    if acting is not None:
        reasons = reasons.filter(pl.col("check").is_in(sorted(acting)))

    def mask(checks: Sequence[str]) -> Bools:
        hit = reasons.filter(pl.col("check").is_in(list(checks)))["key"].to_list()
        asked: Bools = touched & np.isin(keys, np.array(hit, np.str_))
        return asked

    if groups is not None:
        return {name: mask(checks) for name, checks in groups.items()}
    counts = reasons.group_by("check").len().sort("len", "check", descending=[True, False])
    names = counts["check"].to_list()
    if len(names) <= SUBSET_GROUPS_MAX and (mask(names) == touched).all():
        return {name: mask([name]) for name in names}
    named = {name: mask([name]) for name in names[: SUBSET_GROUPS_MAX - 1]}
    rest = mask(names[SUBSET_GROUPS_MAX - 1 :]) | (touched & ~mask(names))
    return {**named, OTHERS: rest}


def rank_reasons(ledger: pl.DataFrame, keys: Sequence[str]) -> Longs:
    """Return the place of each key among all, 0 for the one whose finding is surest, (n,) int64.

    The order: the severity of a sample's worst finding, then how far its observed value lies
    beyond the threshold, as a rank (0..1) among all findings of the same check and rule's column,
    since units differ from check to check; then the key. Samples without a finding come last.

    ledger: key, and reasons (a list of structs: check_id, column, observed, threshold, severity).
    """
    worst = pl.col("severity").replace_strict(
        {name: at for at, name in enumerate(_SEVERITIES)}, default=-1, return_dtype=pl.Int64
    )
    beyond = (pl.col("observed") - pl.col("threshold")).abs().fill_nan(None)
    same = ["check_id", "column"]
    sure = (beyond.rank("average") / beyond.count()).over(same).fill_null(0.0)
    reasons = (
        ledger.select("key", reason="reasons").explode("reason").drop_nulls("reason")
        .unnest("reason").with_columns(worst=worst, sure=sure)
        .sort("worst", "sure", descending=True).group_by("key", maintain_order=True).first()
    )  # fmt: skip
    asked = pl.DataFrame({"key": list(keys)}, schema={"key": pl.String}).with_row_index("at")
    ranked = asked.join(reasons.select("key", "worst", "sure"), on="key", how="left").sort(
        "worst", "sure", "key", descending=[True, True, False], nulls_last=True
    )
    order = np.empty(len(keys), np.int64)
    order[ranked["at"].to_numpy()] = np.arange(len(keys))
    return order
