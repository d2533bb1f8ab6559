"""What the other cells of a row say that a cell should hold, as expressions over the raw columns.

Every dependency on a column is a voter. It votes for the value that its key holds elsewhere, with
the weight log(rows / contradictions). A key that is contradicted by most of what hangs on it is
itself the wrong cell (`blame`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from math import log
from operator import or_

import polars as pl

from checks.metrics.tabular_pairs import canon, key_of
from checks.metrics.tabular_profile import Dependency, TableProfile

_SEPARATOR = "\x1e"
_BLAME_FAN = 3  # dependents that a key needs before it can be blamed
_WEIGHT_MAX = 8.0  # of a voter
_FAN_TOP = 5  # of its dependents, those with the fewest contradictions are asked
NO = pl.lit(value=False)


@dataclass(frozen=True, slots=True)
class Expectation:
    """One column's voters, summed up.

    value: String, what the voters that contradict or fill the cell agree on; null if they differ.
    outvoted: Boolean, whether more weight is against the cell than for it. confirmed: the reverse.
    """

    column: str
    value: pl.Expr
    outvoted: pl.Expr
    confirmed: pl.Expr
    dependencies: tuple[Dependency, ...]


def expect(profile: TableProfile) -> dict[str, Expectation]:
    """Return the expectation of every column that some other column fixes."""
    by_column: dict[str, list[Dependency]] = {}
    for dependency in (*profile.dependencies, *_parts(profile)):
        by_column.setdefault(dependency.dependent, []).append(dependency)
    return {name: _sum_up(profile, name, tuple(voters)) for name, voters in by_column.items()}


def predict(
    profile: TableProfile, dependency: Dependency, support_min: int = 0, majority_min: float = 0.0
) -> pl.Expr:
    """Return what a dependency's key holds elsewhere, as String; null where it cannot say.

    Only keys of at least `support_min` rows count, `majority_min` of which (0..1) agree.
    """
    if dependency.mark is not None:
        one, two = (canon(profile.column(name)) for name in dependency.determinants)
        return _join(dependency.mark, dependency.part, one, two)
    told = [
        (key, value)
        for key, value, rows, agreeing in zip(
            dependency.keys, dependency.values, dependency.counts, dependency.agreeing, strict=True
        )
        if rows >= support_min and agreeing >= majority_min * rows
    ]
    if not told:
        return pl.lit(None, dtype=pl.String)
    keys, values = zip(*told, strict=True)
    key = key_of([profile.column(name) for name in dependency.determinants])
    return key.replace_strict(list(keys), list(values), default=None, return_dtype=pl.String)


def _join(mark: str, part: str, one: pl.Expr, two: pl.Expr) -> pl.Expr:
    """Two parts joined, or what is left of a whole (`one`) without the part `two`; null if none."""
    if part == "whole":
        return pl.concat_str([one, two], separator=mark)
    other = pl.concat_str([pl.lit(mark), two] if part == "first" else [two, pl.lit(mark)])
    rest = one.str.len_chars().cast(pl.Int64) - other.str.len_chars().cast(pl.Int64)
    if part == "first":
        return pl.when(one.str.ends_with(other) & (rest > 0)).then(one.str.head(rest))
    return pl.when(one.str.starts_with(other) & (rest > 0)).then(one.str.tail(rest))


def _parts(profile: TableProfile) -> list[Dependency]:
    """The joined columns read backwards: each part from the whole and the other part."""
    turned = []
    for whole in profile.dependencies:
        if whole.mark is not None:
            one, two = whole.determinants
            name = whole.dependent
            turned += [
                replace(whole, determinants=(name, two), dependent=one, part="first"),
                replace(whole, determinants=(name, one), dependent=two, part="last"),
            ]
    return turned


def differs(profile: TableProfile, dependency: Dependency, predicted: pl.Expr) -> pl.Expr:
    """Whether the cell is another than `predicted`; false where one is missing."""
    cell = canon(profile.column(dependency.dependent))
    return (predicted != cell).fill_null(value=False)


def blame(profile: TableProfile) -> dict[tuple[str, ...], pl.Expr]:
    """Return, for each key with a fan of dependents, whether half of them contradict it."""
    fans: dict[tuple[str, ...], list[Dependency]] = {}
    for dependency in profile.dependencies:
        fans.setdefault(dependency.determinants, []).append(dependency)
    blamed = {}
    for names, fan in fans.items():
        if len(fan) < _BLAME_FAN:
            continue
        asked = sorted(fan, key=lambda d: (d.violation_count, d.dependent))[:_FAN_TOP]
        against = [differs(profile, d, predict(profile, d)) & _known(profile, d) for d in asked]
        count = pl.sum_horizontal([e.cast(pl.Int64) for e in against])
        blamed[names] = count >= max(2, -(-len(asked) // 2))
    return blamed


def _known(profile: TableProfile, dependency: Dependency) -> pl.Expr:
    """Whether the cell is what some key asks for: a value of no key is itself the error."""
    cell = canon(profile.column(dependency.dependent))
    return cell.is_in(sorted(set(dependency.values))).fill_null(value=False)


def _sum_up(profile: TableProfile, name: str, voters: tuple[Dependency, ...]) -> Expectation:
    cell = canon(profile.column(name))
    balance, proposals = [], []
    for voter in voters:
        weight = min(log((voter.row_count + 1) / (voter.violation_count + 0.5)), _WEIGHT_MAX)
        # a cell that is exactly its parts joined is right, whatever is usual
        praise = weight if voter.mark is None or voter.part != "whole" else _WEIGHT_MAX * 4
        predicted = predict(profile, voter)
        # each lookup stands once: expressions are trees, and shared branches would multiply
        agrees = (predicted == cell).cast(pl.Float64)
        balance.append(((weight + praise) / 2 * agrees - weight / 2).fill_null(0.0))
        unsure = (predicted == cell).fill_null(value=False) | _mutual(profile, voter)
        proposals.append(pl.when(~unsure).then(predicted))
    distinct = pl.concat_list(proposals).list.drop_nulls().list.unique(maintain_order=True)
    agreed = distinct.list.join(_SEPARATOR).str.extract(f"^([^{_SEPARATOR}]+)$", 1)
    votes = pl.sum_horizontal(balance)
    return Expectation(name, agreed, votes < 0, votes > 0, voters)


def _mutual(profile: TableProfile, voter: Dependency) -> pl.Expr:
    """Whether the cell contradicts the voter's key as the key contradicts the cell."""
    back = [
        d for d in profile.dependencies
        if d.determinants == (voter.dependent,) and (d.dependent,) == voter.determinants
    ]  # fmt: skip
    return any_of([differs(profile, d, predict(profile, d)) for d in back])


def any_of(conditions: list[pl.Expr]) -> pl.Expr:
    """Whether one of the Boolean expressions holds."""
    return reduce(or_, conditions, NO)


def suggest(expected: dict[str, Expectation], column: str) -> pl.Expr:
    """Return what the voters propose for `column`, null where nobody votes."""
    known = expected.get(column)
    return known.value if known is not None else pl.lit(None, dtype=pl.String)


def confirmed(expected: dict[str, Expectation], column: str) -> pl.Expr:
    """Whether the voters confirm the cell of `column`; false where nobody votes.

    However odd such a value is, its row's other cells ask for it.
    """
    known = expected.get(column)
    return known.confirmed if known is not None else NO


def suggest_or_blank(expected: dict[str, Expectation], column: str) -> pl.Expr:
    """Return what the voters propose for `column`; an empty text, for missing, where nobody votes.

    For a cell whose value cannot be right, whatever would be.
    """
    return suggest(expected, column).fill_null("")
