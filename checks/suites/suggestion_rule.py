"""A rule as it is proposed, and as the rows of the table bear it out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import polars as pl

from checks.metrics.tabular_profile import TableProfile
from checks.suites.suggestion_odds import Foresight, bound_share, foresee, round_up

Strength = Literal["strong", "fair", "weak"]
STRENGTHS: tuple[Strength, ...] = ("strong", "fair", "weak")
SEVERITY: Mapping[Strength, Literal["error", "warning", "info"]] = MappingProxyType(
    {"strong": "error", "fair": "warning", "weak": "info"}
)
# beyond the share of rows that break a rule: what may go unseen before it is less than strong, ...
SLACK: Mapping[Strength, float] = MappingProxyType({"strong": 0.005, "fair": 0.01, "weak": 0.05})
SHARE_MAX = 0.5  # of rows that break it: a rule that is broken more often says nothing
WHOLE_TABLE = ("implies", "foreign_key", "joins", "fixes")


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of a table: its profile, a sample of its rows, and how all of them are read.

    sample, rows: the columns of the profile, as they are stored.
    """

    profile: TableProfile
    sample: pl.DataFrame
    rows: pl.LazyFrame


@dataclass(frozen=True, slots=True)
class Lookup:
    """Values that stand together in rows: the other table of a foreign key."""

    name: str
    frame: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Proposal:
    """A rule before it is counted.

    columns: all that it reads, what it judges last. word: of pandera (`ge`, `isin`, ...), or
    dtype, not_null, not_nan, unique, implies, foreign_key, never_falls, joins, fixes. value: what
    the word is told. why: what speaks for it, one clause. guessed: its limit lies beyond what was
    seen. may_never: it may hold without exception. unseen_count: rows that keep it because they
    were looked at, as with a value that no other row has; about as many of the next ones break
    it. unseen_share: of the rows, 0..1, that break the rule of every other one. failures: if known.
    """

    columns: tuple[str, ...]
    word: str
    value: Any = None
    why: str = ""
    guessed: bool = False
    may_never: bool = True
    unseen_count: int = 0
    unseen_share: float = 0.0
    failures: int | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """What is the same rule in two contracts."""
        return (self.word, *self.columns)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its evidence.

    failures, rows: of the table. tolerance: share of rows, 0..1, that may break it. false_alarm:
    chance, 0..1, that a clean batch of `batch_rows` breaks it all the same.
    """

    proposal: Proposal
    failures: int
    rows: int
    batch_rows: int
    tolerance: float
    false_alarm: float
    strength: Strength

    @property
    def share_max(self) -> float:
        """Wilson's upper bound, 95 %, of the share of rows that break it."""
        return bound_share(self.failures, self.rows)

    @property
    def severity(self) -> str:
        """How a broken rule is taken."""
        return SEVERITY[self.strength]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A contract for a person to review.

    types: of every column, as the contract reads it. titles: what a column holds, in words.
    lookups: the other tables of its foreign keys. left_out: what was not proposed, and why.
    """

    rows: int
    batch_rows: int
    types: Mapping[str, pl.DataType]
    titles: Mapping[str, str]
    rules: tuple[Rule, ...]
    lookups: tuple[Lookup, ...] = ()
    left_out: tuple[str, ...] = field(default=())

    def of(self, name: str) -> tuple[Rule, ...]:
        """Return the rules of the column `name` alone."""
        return tuple(
            one for one in self.rules
            if one.proposal.columns == (name,) and one.proposal.word not in WHOLE_TABLE
        )  # fmt: skip

    @property
    def wide(self) -> tuple[Rule, ...]:
        """The rules that several columns share."""
        return tuple(
            one for one in self.rules
            if len(one.proposal.columns) > 1 or one.proposal.word in WHOLE_TABLE
        )  # fmt: skip


def look_ahead(proposal: Proposal, failures: int, rows: int, batch_rows: int) -> Foresight:
    """Return how many rows of a clean batch break `proposal`, new values among them."""
    expected = expect(proposal, failures, rows)
    return foresee(expected, rows, batch_rows, may_never=proposal.may_never)


def expect(proposal: Proposal, failures: int, rows: int) -> int:
    """Return how many of `rows` other rows would break `proposal`, new values among them."""
    unseen = math.ceil(proposal.unseen_share * rows)
    return min(rows, max(failures + proposal.unseen_count, unseen))


def weigh(proposal: Proposal, failures: int, rows: int, batch_rows: int) -> Rule | None:
    """Return `proposal` as a rule, or None if the rows do not bear it out.

    They do not where more than half of them break it, or where so few were looked at that a
    tolerance which clean batches keep to would let errors in one row of 20 pass.
    """
    ahead = look_ahead(proposal, failures, rows, batch_rows)
    tolerance = max(ahead.tolerance(), round_up(failures / rows))
    slack = tolerance - expect(proposal, failures, rows) / rows
    words = [word for word in STRENGTHS if slack <= SLACK[word]]
    if failures > SHARE_MAX * rows or not words:
        return None
    strength = "fair" if words[0] == "strong" and proposal.guessed else words[0]
    return Rule(proposal, failures, rows, batch_rows, tolerance, ahead.chance(tolerance), strength)
