"""Rules on several columns: what one fixes of others, and pairs that are a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from checks.metrics.tabular_dependencies import MAJORITY_MIN, SUPPORT_MIN
from checks.metrics.tabular_profile import ColumnProfile, Dependency, TableProfile
from checks.suites.suggestion_rule import Lookup, Proposal
from checks.suites.suggestion_values import SETTLED_MIN

VIOLATION_MAX, PAIRS_MAX, NEW_MAX, IMPLIED_MAX = 0.05, 5_000, 0.005, 4
_WORSE_MAX = 0.002  # of the rows
COLLISIONS_MIN, KEY_COLUMNS_MAX = 50, 12


@dataclass(frozen=True, slots=True)
class Entity:
    """Columns whose values fix those of others in (almost) all rows."""

    determinants: tuple[str, ...]
    dependents: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.determinants, *self.dependents)


def choose_entities(profile: TableProfile, types: Mapping[str, pl.DataType]) -> list[Entity]:
    """Return the fewest entities that explain each dependent column once.

    The determinants that fix most columns go first, what they fix by way of others included; of
    these the ones with fewest values. A column that one entity names is left alone by the
    others: a wrong value in it breaks that one. Columns of fractions take no part, no dependency
    that 5 % of the rows contradict, and none of a column that another one explains better.
    """
    place = {c.name: i for i, c in enumerate(profile.columns)}
    fixed, keys = _close(_pick_sound(profile.dependencies, types))
    explained: set[str] = set()
    found = []

    def rank(names: tuple[str, ...]) -> tuple[object, ...]:
        return -len(fixed[names] - explained), len(names), keys[names], [place[n] for n in names]

    while open_ones := [names for names, told in fixed.items() if told - explained]:
        best = min(open_ones, key=rank)
        told = sorted(fixed[best] - explained, key=lambda name: place[name])
        found.append(Entity(best, tuple(told)))
        explained |= {*told, *best}
    return found


def _pick_sound(
    dependencies: Sequence[Dependency], types: Mapping[str, pl.DataType]
) -> list[Dependency]:
    least: dict[str, int] = {}
    for one in dependencies:
        least[one.dependent] = min(one.violation_count, least.get(one.dependent, one.row_count))

    joined = {one.dependent for one in dependencies if one.mark is not None}

    def is_sound(one: Dependency) -> bool:
        names = (*one.determinants, one.dependent)
        plain = all(types[n] == pl.String or types[n].is_integer() for n in names)
        best = 2 * least[one.dependent] + _WORSE_MAX * one.row_count
        few = one.violation_count <= min(best, VIOLATION_MAX * one.row_count)
        apart = not joined & set(names)  # what is put together says nothing of its own
        return plain and few and apart and 0 < len(one.keys) <= PAIRS_MAX

    return [one for one in dependencies if is_sound(one)]


def _close(
    dependencies: Sequence[Dependency],
) -> tuple[dict[tuple[str, ...], set[str]], dict[tuple[str, ...], int]]:
    """What determinants fix, themselves or by what they fix in every row; and their values."""
    fixed: dict[tuple[str, ...], set[str]] = {}
    keys: dict[tuple[str, ...], int] = {}
    for one in dependencies:
        fixed.setdefault(one.determinants, set()).add(one.dependent)
        keys[one.determinants] = max(len(one.keys), keys.get(one.determinants, 0))
    sure = {(d.determinants, d.dependent) for d in dependencies if not d.violation_count}
    onward = {names: set[str]().union(*(fixed.get((n,), set()) for n in told
                                        if (names, n) in sure)) - set(names)
              for names, told in fixed.items()}  # fmt: skip
    return {names: told | onward[names] for names, told in fixed.items()}, keys


def propose_entity(entity: Entity, counts: pl.DataFrame, lookup: str) -> Iterator[Proposal]:
    """Yield a foreign key into a table of an entity's values, or what few of its values imply.

    Args:
        entity: of `choose_entities`.
        counts: as `suggestion_count.tally` returns them for the entity's columns.
        lookup: the name of the table.

    Combinations that contradict a key's majority (80 % of at least 3 rows) are left out. Where
    more than 0.5 % of the rows have a key of their own, the next rows bring new ones: then rows
    of one key are compared with each other (`fixes`).
    """
    places = [str(i) for i in range(len(entity.columns))]
    keys = places[: len(entity.determinants)]
    told = counts.drop_nulls(places).with_columns(
        rows=pl.col("#").sum().over(keys), top=pl.col("#").max().over(keys)
    )
    rows = int(told["#"].sum())
    settled = (pl.col("rows") >= SUPPORT_MIN) & (pl.col("top") >= MAJORITY_MIN * pl.col("rows"))
    kept = told.filter(~settled | (pl.col("#") == pl.col("top"))).sort(places)
    single = int((kept["#"] == 1).sum())
    if not rows:
        return
    if kept.height > PAIRS_MAX or single > NEW_MAX * rows:
        yield _compare_rows(entity, counts.drop_nulls(keys), keys, places[len(keys) :])
        return
    table = kept.select(places).rename(dict(zip(places, entity.columns, strict=True)))
    first, others = ", ".join(entity.determinants), ", ".join(entity.dependents)
    if len(places) == 2 and table.height <= IMPLIED_MAX and not single:  # noqa: PLR2004
        for key, value in table.iter_rows():
            given = {"if": {"column": first, "eq": key}, "then": {"column": others, "eq": value}}
            yield Proposal(entity.columns, "implies", given, f"{first} fixes {others}")
        return
    why = f"{first} fixes {others}: {table.height:,} combinations"
    yield Proposal(
        entity.columns, "foreign_key", Lookup(lookup, table), why, unseen_count=single,
        may_never=bool((kept["#"] >= SETTLED_MIN).all()), failures=rows - int(kept["#"].sum()),
    )  # fmt: skip


def _compare_rows(
    entity: Entity, known: pl.DataFrame, keys: list[str], others: list[str]
) -> Proposal:
    """Rows of one key against what most of them hold; a key of one row says nothing."""
    broken = pl.repeat(value=False, n=known.height, eager=True)
    for place in others:
        told = known.drop_nulls(place).group_by(*keys, place).agg(pl.sum("#"))
        usual = told.sort("#", place, descending=[True, False]).unique(keys, keep="first")
        beside = known.join(usual.drop("#").rename({place: "usual"}), on=keys, how="left",
                            maintain_order="left")  # fmt: skip
        broken |= (beside[place] != beside["usual"]).fill_null(value=False)
    rows = known.group_by(keys).agg(pl.sum("#"))["#"]
    together = int(rows.filter(rows > 1).sum())
    why = f"{together:,} rows share a value of {', '.join(entity.determinants)} with another"
    failures = int(known.filter(broken)["#"].sum())
    return Proposal(entity.columns, "fixes", len(keys), why, failures=failures)


def propose_joins(profile: TableProfile) -> Iterator[Proposal]:
    """Yield the columns that are two others joined by a mark."""
    for one in profile.dependencies:
        if one.mark is not None and one.part == "whole":
            why = f"{one.dependent} is {' and '.join(one.determinants)}, joined by {one.mark!r}"
            yield Proposal((*one.determinants, one.dependent), "joins", one.mark, why)


def propose_pair_key(columns: Sequence[ColumnProfile], sample: pl.DataFrame) -> Iterator[Proposal]:
    """Yield the pair of columns that is most surely a key, if there is one.

    Of the 12 columns with most values, those pairs are tried of which neither is a key. Were
    their values drawn apart, at least 50 pairs of sampled rows had to agree in both; none does.

    Args:
        columns: the profiles of the table.
        sample: rows as they are stored.
    """
    able = [c for c in columns if c.null_count == 0 and c.is_plain and c.kind != "constant"
            and not sample[c.name].dtype.is_float()
            and c.distinct_count < 0.9 * c.row_count]  # fmt: skip
    able = sorted(able, key=lambda c: -c.distinct_count)[:KEY_COLUMNS_MAX]
    agree = {c.name: _agreement(sample[c.name]) for c in able}
    pairs = sample.height * (sample.height - 1) / 2
    found = []
    for left, right in combinations(agree, 2):
        expected = pairs * agree[left] * agree[right]
        if expected >= COLLISIONS_MIN and sample.select(left, right).is_unique().all():
            found.append((expected, left, right))
    place = {c.name: i for i, c in enumerate(columns)}
    for expected, left, right in sorted(found, key=lambda t: (-t[0], place[t[1]], place[t[2]]))[:1]:
        why = f"a key: by chance {expected:,.0f} pairs of sampled rows would agree in both"
        yield Proposal((left, right), "unique", why=why)


def _agreement(cells: pl.Series) -> float:
    """The chance that two rows agree."""
    counts = cells.alias("cell").value_counts()["count"].to_numpy().astype(np.float64)
    return float((counts**2).sum() / max(counts.sum(), 1) ** 2)
