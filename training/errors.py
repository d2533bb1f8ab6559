"""The errors that Gristmill's learning side raises.

TrainingError               anything a person must mend before the run can go on
├── StoreError              the shard store cannot be written, is in use or lacks what was asked for
├── DamageError             stored bytes are not what was written; carries the shard and the row
├── DivergedError           a run learns nothing any more: its loss is not a finite number
└── LedgerError             the books do not balance: a sample was lost, doubled or invented
"""

from __future__ import annotations


class TrainingError(Exception):
    """One sentence that says where, what, the value got, what is allowed and what to do.

    >>> print(TrainingError("shards", "no such split", got="dev", allowed="Splits: test, train."))
    shards: no such split (got 'dev'). Splits: test, train.
    """

    def __init__(
        self, where: str, problem: str, *, got: object = None, allowed: str = "", advice: str = ""
    ) -> None:
        self.where, self.problem, self.got = where, problem, got
        self.allowed, self.advice = allowed, advice
        value = "" if got is None else f" (got {got!r})"
        rest = "".join(f" {part}" for part in (allowed, advice) if part)
        super().__init__(f"{where}: {problem}{value}.{rest}")

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as it is: an error must come whole from a worker process."""
        return _remake, (type(self), self.args, self.__dict__)


class StoreError(TrainingError):
    """The shard store cannot be written, is in use, or lacks what was asked for."""


class DamageError(TrainingError):
    """Stored bytes are not what was written.

    >>> print(DamageError("data/train/ab12.parquet", 7, "the image is not what was written"))
    data/train/ab12.parquet, row 7: the image is not what was written. Write the shards again.
    """

    def __init__(
        self, shard: str, row: int | None, problem: str, advice: str = "Write the shards again."
    ) -> None:
        self.shard, self.row = shard, row
        where = shard if row is None else f"{shard}, row {row}"
        super().__init__(where, problem, advice=advice)


class DivergedError(TrainingError):
    """A run's loss is not a finite number. recipe: what it was trained with, if that is known.

    >>> print(DivergedError("raw", 3, 40, "lr 9, weight_decay 0"))
    arm raw, seed 3, step 40: the loss is not a finite number (got 'lr 9, weight_decay 0'). Lower \
lr or weight_decay of the recipe; finished runs are kept.
    """

    def __init__(self, arm: str, seed: int, step: int, got: str, recipe: object = None) -> None:
        self.recipe = recipe
        super().__init__(
            f"arm {arm}, seed {seed}, step {step}", "the loss is not a finite number", got=got,
            advice="Lower lr or weight_decay of the recipe; finished runs are kept.",
        )  # fmt: skip


class LedgerError(TrainingError):
    """The books do not balance: a sample was lost, doubled or invented."""


def _remake(
    kind: type[TrainingError], args: tuple[object, ...], state: dict[str, object]
) -> TrainingError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error
