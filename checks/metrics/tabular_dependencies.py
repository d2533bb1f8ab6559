"""Columns that fix other columns: found on a sample, then counted over all rows.

Nothing is judged here: a `Dependency` says, for each value of its determinants, what most rows
hold and how many. Checks decide which rows contradict it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from checks.metrics.tabular_joined import Joined, find_joined
from checks.metrics.tabular_pairs import Candidate, canon, cell, key_of, told
from checks.metrics.tabular_profile import KEY_SEPARATOR, ColumnProfile, Dependency, Exchange

Codes = NDArray[np.signedinteger[Any]]
Lifts = dict[tuple[str, ...], NDArray[np.float64]]
__all__ = ["Candidate", "canon", "cell", "confirm", "find_exchanges", "key_of", "propose"]

SUPPORT_MIN = 3  # rows of a key before its majority says anything
MAJORITY_MIN = 0.8  # below, a key has no one value
_KEY_CAP = 50_000
_SINGLES, _PAIRS = 4, 2  # determinants kept for each dependent
_VIOLATION_MAX, _AMBIGUOUS_MAX, _LIFT_MIN = 0.15, 0.05, 0.8
_VARIED = ((SUPPORT_MIN, 5), (0.01, 0.05))  # rows and share: of another key's value, of any other
_ODDS_MAX = 0.4  # of one other value, beyond which variation looks like chance
_WIDE, _PAIRED = 256, 32  # columns that take part; keys that are tried in pairs
_PAIR_ROWS = 8192  # of the sample, for pairs: there are hundreds of them
_EXACT = 0.9  # the lift of a column alone from which no pair is tried
_EVIDENCE_MIN = 10  # neighbouring rows with one key before the screen trusts it
_DOUBT = 10  # neighbours that agree as chance has it, added to those of pairs: there are many


def propose(sample: pl.DataFrame, columns: Sequence[ColumnProfile]) -> list[Candidate]:
    """Return the determinants, one or two for each, that seem to fix a column, or to make it up.

    Args:
        sample: rows of the table in an order that does not depend on the table's.
        columns: the profiles of the columns that may take part; the first 256 do.

    Two rows of one key are drawn, and the share of draws that agree is compared with the share
    among any two rows (the lift). Errors in a share e of the cells leave about 1 - 2e.
    """
    fixed = [c for c in columns if c.kind not in ("constant", "identifier")][:_WIDE]
    usable = [c for c in fixed if c.kind != "text"]
    if sample.is_empty() or not usable:
        return []
    coded = sample.select([cell(c) for c in fixed])
    codes = np.stack([_codes(coded.get_column(c.name)) for c in fixed], axis=1)
    chance = np.array([_collision(codes[:, i]) for i in range(len(fixed))])
    place = {c.name: i for i, c in enumerate(fixed)}
    keys = [c.name for c in usable if _is_key(c)]
    singles: Lifts = {(name,): _lift(codes, codes[:, place[name]], chance)[0] for name in keys}
    for names, lift in singles.items():
        lift[place[names[0]]] = 0.0
    pairs = _pair(codes[:_PAIR_ROWS], chance, place, singles)
    chosen = [*_choose(singles, fixed, 0.6, _SINGLES), *_choose(pairs, fixed, 0.7, _PAIRS)]
    joined = find_joined(coded, {c.name: told(pl.col(c.name), c) for c in fixed})
    return [*(Candidate(determinants, dependent) for determinants, dependent in chosen), *joined]


def _pair(
    codes: Codes, chance: NDArray[np.float64], place: dict[str, int], singles: Lifts
) -> Lifts:
    """The lift of pairs of the 32 keys that say most alone, where single ones leave much open."""
    best = np.max([*singles.values(), np.zeros(len(place))], axis=0)
    ranked = sorted(singles, key=lambda names: (-float(singles[names].max()), names))[:_PAIRED]
    pairs: Lifts = {}
    for (left,), (right,) in combinations([names for names in singles if names in ranked], 2):
        i, j = place[left], place[right]
        one, two = codes[:, i].astype(np.int64), codes[:, j]
        both = np.where((one < 0) | (two < 0), -1, one * (two.max() + 1) + two)
        lift, drawn = _lift(codes, both, chance)
        lift[[i, j]] = 0.0
        # a pair must explain most of what single columns leave open
        idle = (best >= _EXACT) | (1 - lift > 0.3 * (1 - best))
        pairs[left, right] = np.where(idle, 0.0, lift * drawn / (drawn + _DOUBT))
    return pairs


def _is_key(column: ColumnProfile) -> bool:
    whole = column.kind != "number" or column.integer_count == column.number_count
    return whole and 2 <= column.distinct_count <= _KEY_CAP  # noqa: PLR2004


def _codes(values: pl.Series) -> Codes:
    """The rank of each value, -1 for nothing; as narrow as can be: narrow ones sort faster."""
    ranks = values.rank("dense").cast(pl.Int64) - 1
    return ranks.fill_null(-1).to_numpy().astype(np.min_scalar_type(-1 - ranks.len()))


def _collision(codes: Codes) -> float:
    counts = np.bincount(codes[codes >= 0])
    total = max(int(counts.sum()), 1)
    return float((counts.astype(float) ** 2).sum()) / total**2


def _lift(
    codes: Codes, key: Codes, chance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """How much better than chance neighbours of one key agree, 0..1, and how many there are."""
    order = np.argsort(key, kind="stable")
    same = (key[order][1:] == key[order][:-1]) & (key[order][1:] >= 0)
    above, below = codes[order[:-1][same]], codes[order[1:][same]]
    both = (above >= 0) & (below >= 0)
    drawn = np.count_nonzero(both, axis=0)
    agree = np.count_nonzero((above == below) & both, axis=0) / np.maximum(drawn, 1)
    lift = (agree - chance) / np.maximum(1 - chance, 1e-9)
    return np.where((drawn >= _EVIDENCE_MIN) & (chance < 1), lift, 0.0), drawn


def _choose(
    lifts: dict[tuple[str, ...], NDArray[np.float64]], fixed: Sequence[ColumnProfile],
    lift_min: float, count: int,
) -> list[tuple[tuple[str, ...], str]]:  # fmt: skip
    """The `count` best determinants of each column."""
    chosen = []
    for i, column in enumerate(fixed):
        ranked = sorted((-round(float(lift[i]), 6), names) for names, lift in lifts.items())
        kept = [names for lift, names in ranked if -lift >= lift_min][:count]
        chosen += [(names, column.name) for names in kept]
    return chosen


def confirm(candidate: Candidate, columns: Iterable[ColumnProfile]) -> Dependency | None:
    """Return the dependency that the counts of all rows show, or None if they show none.

    Gates: at most 15 % of the rows contradict, at most 5 % of the keys or of the rows have a key
    that is undecided, at least
    half of the rows have a key of `SUPPORT_MIN` rows, and it explains 80 % of what the column's
    most frequent value leaves open.
    """
    if isinstance(candidate, Joined):
        return candidate.confirm()
    if candidate.overflown or not candidate.parts:
        return None
    *names, dependent = candidate.places
    profiles = {c.name: c for c in columns}
    own = (*candidate.determinants, candidate.dependent)
    known = {place: profiles[n] for place, n in zip(candidate.places, own, strict=True)}
    counts = candidate.merged().sort(
        [*names, "#", dependent], descending=[*[False] * len(names), True, False]
    )
    total = int(counts["#"].sum())
    keys = counts.group_by(names, maintain_order=True).agg(
        pl.col("#").sum().alias("rows#"), pl.col("#").first().alias("top#"),
        pl.col(dependent).first(), (pl.col("#").max() == pl.col("#")).sum().alias("ties#"),
    )  # fmt: skip
    keys = keys.filter(pl.col("rows#") >= SUPPORT_MIN)
    rows = int(keys["rows#"].sum())
    clear = (pl.col("top#") >= MAJORITY_MIN * pl.col("rows#")) & (pl.col("ties#") == 1)
    settled = keys.filter(clear)
    if total == 0 or rows * 2 < total or not 2 <= settled.height <= _KEY_CAP:  # noqa: PLR2004
        return None
    violations = rows - int(keys["top#"].sum())
    commonest = int(counts.group_by(dependent).agg(pl.col("#").sum())["#"].max())  # type: ignore[arg-type]
    open_rows = (1 - commonest / total) * rows
    ambiguous = keys.height - settled.height
    unsettled = rows - int(settled["rows#"].sum())
    clouded = ambiguous > _AMBIGUOUS_MAX * keys.height and unsettled > _AMBIGUOUS_MAX * rows
    sound = violations <= _VIOLATION_MAX * rows and not clouded
    if not sound or open_rows <= 0 or violations > (1 - _LIFT_MIN) * open_rows:
        return None
    if violations:
        varied = _varied(counts, keys, names, dependent)
        if int(varied["#"].sum()) * 2 > violations:
            return None
        settled = settled.join(varied, on=names, how="anti", maintain_order="left")
    parts = [told(pl.col(n), known[n]) for n in names]
    listed = settled.select(
        pl.concat_str(parts, separator=KEY_SEPARATOR).alias("key"),
        told(pl.col(dependent), known[dependent]).alias("value"), "rows#", "top#",
    ).sort("key")  # fmt: skip
    return Dependency(
        candidate.determinants, candidate.dependent, rows, violations, ambiguous,
        keys=tuple(listed["key"].to_list()), values=tuple(listed["value"].to_list()),
        counts=tuple(listed["rows#"].to_list()), agreeing=tuple(listed["top#"].to_list()),
    )  # fmt: skip


def _varied(
    counts: pl.DataFrame, keys: pl.DataFrame, names: list[str], dependent: str
) -> pl.DataFrame:
    """The keys some of whose rows hold a second value too often: variation, not error.

    Too often: at least 3 rows and 1 % of the key's, of a value that is another key's; 5 rows and
    5 % of any other; and more than errors that fall on values by chance give. Among few other
    values chance cannot be told from variation. Columns: `names`, dependent, #.
    """
    share = counts.group_by(dependent).agg(share=pl.col("#").sum() / counts["#"].sum())
    homes = keys.get_column(dependent).unique()
    keyed = counts.join(keys.select(*names, "rows#", "top#", home=dependent), on=names, how="inner")
    keyed = keyed.join(share, on=dependent).join(
        share.rename({dependent: "home", "share": "home_share"}), on="home"
    )
    at_home = pl.col(dependent).is_in(homes.implode())
    rows, part = (pl.when(at_home).then(pl.lit(v[0])).otherwise(pl.lit(v[1])) for v in _VARIED)
    least = pl.max_horizontal(rows, part * pl.col("rows#"))
    odds = pl.col("share") / (1 - pl.col("home_share"))
    by_chance = 2 * odds * (pl.col("rows#") - pl.col("top#")) + SUPPORT_MIN
    strange = keyed.filter(
        pl.col(dependent) != pl.col("home"), pl.col("#") >= least,
        (odds > _ODDS_MAX) | (pl.col("#") > by_chance),
    )  # fmt: skip
    return strange.select(*names, dependent, "#")


def find_exchanges(values: dict[str, pl.DataFrame]) -> tuple[Exchange, ...]:
    """Return the pairs of columns that share a few values, each at home in one of the two.

    Args:
        values: key (String), count, for each column of words; the first 256 are compared.
    """
    names = sorted(list(values)[:_WIDE])
    if len(names) < 2:  # noqa: PLR2004
        return ()
    rest = pl.concat([values[n].select("key", "count", name=pl.lit(n)) for n in names])
    totals = {n: int(values[n]["count"].sum()) for n in names}
    found = []
    for first in names:
        rest = rest.filter(pl.col("name") != first)
        shared = values[first].select("key", "count").join(rest, on="key", suffix="_right")
        told = shared.group_by("name").agg(
            both=pl.min_horizontal("count", "count_right").sum(),
            here=(pl.col("count") > pl.col("count_right")).any(),
            there=(pl.col("count") < pl.col("count_right")).any(),
        ).sort("name")  # fmt: skip
        for second, both in told.filter("here", "there").select("name", "both").iter_rows():
            if both * 10 <= min(totals[first], totals[second]):
                words = shared.filter(pl.col("name") == second).sort("key").drop("name")
                found.append(Exchange(first, second, tuple(words.iter_rows())))
    return tuple(found)
