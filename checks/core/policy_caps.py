"""How much the policy may take out in one run: the surest first, the rest only down-weighted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

Slice = tuple[str, str]
SLICE_MARK = "slice:"  # so that no slice is called like a column of the policy
ROUNDING = 1e-9
SUREST_FIRST = ("rank", "suspicion", "severity_rank", "sample_id")


class Limits(Protocol):
    """The part of a policy that this file reads."""

    @property
    def max_drop_frac(self) -> float:
        """Largest share of the train split, 0..1."""

    @property
    def max_class_drop_frac(self) -> float:
        """Largest share of one class, 0..1."""

    @property
    def max_slice_drop_frac(self) -> float:
        """Largest share of one slice, 0..1."""

    @property
    def max_class_share_loss(self) -> float:
        """Largest relative loss of a class's share, 0..1."""

    @property
    def force(self) -> bool:
        """True lifts the first three."""


@dataclass(slots=True)
class Budget:
    """What has been taken so far, and whether one more fits. Counts of train samples.

    totals: by class. slices: by (column, value).
    """

    totals: Mapping[str, int]
    limits: Limits
    slices: Mapping[Slice, int] = field(default_factory=dict)
    taken: int = 0
    removed: int = 0
    left: Counter[str] = field(default_factory=Counter)
    gone: Counter[Slice] = field(default_factory=Counter)

    def refuse(
        self, class_name: str, *, removes: bool, slices: Sequence[Slice] = ()
    ) -> tuple[str, str] | None:
        """Return the cap that one more sample of `class_name` would break and of what, or None.

        A relabelled sample leaves its class but not the set.
        """
        whole, size = sum(self.totals.values()), self.totals[class_name]
        limits, gone = self.limits, self.left[class_name] + 1
        if not limits.force and self.taken + 1 > allowed(limits.max_drop_frac, whole):
            return "set", ""
        if not limits.force and gone > allowed(limits.max_class_drop_frac, size):
            return "class", class_name
        full = (one for one in slices if self.gone[one] + 1 > self._room(one))
        if not limits.force and (one := next(full, None)) is not None:
            return "slice", one[0]
        remaining = whole - self.removed - int(removes)
        floor = (1.0 - limits.max_class_share_loss) * size * remaining
        return ("share", class_name) if (size - gone) * whole + ROUNDING < floor else None

    def _room(self, one: Slice) -> int:
        """How many of a slice may go: at least one, however small it is, unless none may."""
        frac = self.limits.max_slice_drop_frac
        return max(int(frac > 0), allowed(frac, self.slices[one]))

    def take(self, class_name: str, *, removes: bool, slices: Sequence[Slice] = ()) -> None:
        """Count one more sample."""
        self.gone.update(slices)
        self.taken += 1
        self.removed += int(removes)
        self.left[class_name] += 1


def allowed(frac: float, count: int) -> int:
    """Return how many whole samples `frac` of `count` is.

    >>> allowed(0.1, 30), allowed(0.15, 66)
    (3, 9)
    """
    return math.floor(frac * count + ROUNDING)


def apply_caps(
    candidates: pl.DataFrame, totals: Mapping[str, int], limits: Limits,
    slices: Mapping[Slice, int] | None = None,
) -> tuple[pl.DataFrame, list[str]]:  # fmt: skip
    """Return `candidates` with the column `taken` (Boolean), and a sentence for each cap reached.

    Args:
        candidates: sample_id, class_name, removes (False: relabelled), rank (0 surest),
            suspicion (Float64, higher is surer, null last), severity_rank (0 error), and a
            String column for each column that `slices` names.
        totals: readable train samples of each class.
        limits: the policy.
        slices: readable train samples of each slice, by (column, value); others have no cap.

    Source: house rule; cleanlab #641 for rare classes.
    """
    order = candidates.sort(SUREST_FIRST, descending=[False, True, False, False], nulls_last=True)
    columns = sorted({column for column, _ in slices or {}})
    budget, taken = Budget(totals, limits, slices or {}), []
    over: Counter[tuple[str, str]] = Counter()
    for class_name, removes, *values in order.select("class_name", "removes", *columns).iter_rows():
        own = [one for one in zip(columns, values, strict=True) if one in (slices or {})]
        refused = budget.refuse(class_name, removes=removes, slices=own)
        taken.append(refused is None)
        if refused is None:
            budget.take(class_name, removes=removes, slices=own)
        else:
            over[refused] += 1
    told = [_tell(cap, name, count, totals, limits) for (cap, name), count in sorted(over.items())]
    return order.with_columns(pl.Series("taken", taken, pl.Boolean)), told


def _tell(cap: str, name: str, count: int, totals: Mapping[str, int], limits: Limits) -> str:
    if cap == "set":
        size, frac = sum(totals.values()), limits.max_drop_frac
        over = f"{frac:.0%} of the {size} train samples"
    elif cap == "class":
        over = f"{limits.max_class_drop_frac:.0%} of the {totals[name]} of class {name!r}"
    elif cap == "slice":
        column = name.removeprefix(SLICE_MARK)
        over = f"{limits.max_slice_drop_frac:.0%} of the samples with one {column}"
    else:
        over = f"a loss of {limits.max_class_share_loss:.0%} of the share of class {name!r}"
    return f"cap reached: {count} more would go over {over}; down-weighted instead"
