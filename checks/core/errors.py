"""The errors that Gristmill's judging side raises.

GristmillError              anything a person must mend before the run can go on
├── SourceError             the data cannot be reached or has no shape that we know
├── ContractError           a contract or suite cannot be read
├── CheckError              a check is declared or configured wrongly
│   └── UnknownNameError    a name that nothing here has; carries the nearest one
└── TableError              a table broke the model that guards its boundary

Problems *in* the data are findings, never errors.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class GristmillError(Exception):
    """One sentence that says where, what, the value got, what is allowed and what to do.

    >>> print(GristmillError("data/img", "no such folder", got="img", advice="Check the path."))
    data/img: no such folder (got 'img'). Check the path.
    """

    def __init__(
        self, where: str, problem: str, *, got: object = None, allowed: str = "", advice: str = ""
    ) -> None:
        self.where, self.problem, self.got = where, problem, got
        self.allowed, self.advice = allowed, advice
        value = "" if got is None else f" (got {got!r})"
        rest = "".join(f" {part}" for part in (allowed, advice) if part)
        super().__init__(f"{where}: {problem}{value}.{rest}")


class SourceError(GristmillError):
    """The data cannot be reached, or has no shape that a source knows."""


class ContractError(GristmillError):
    """A user's contract or a stored suite cannot be read."""


class CheckError(GristmillError):
    """A check is declared, configured or combined wrongly."""


class TableError(GristmillError):
    """A table does not satisfy the model that guards its boundary."""


class UnknownNameError(CheckError):
    """A name that nothing here has, with the nearest known one.

    >>> print(UnknownNameError("check", "to_dark", ["too_dark", "blurry"]))
    gristmill: no check is named 'to_dark'. Did you mean 'too_dark'?
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        self.nearest = next(iter(get_close_matches(name, names, n=1, cutoff=0.5)), None)
        advice = (
            f"Did you mean {self.nearest!r}?" if self.nearest else f"Known: {', '.join(names)}."
        )
        super().__init__("gristmill", f"no {kind} is named {name!r}", advice=advice)
