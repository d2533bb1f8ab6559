"""The runs of one tier and what they are judged by: one value for each seed and endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import statistics as st
from training.arms import PILOT, RANDOM_DROP, RAW
from training.convergence import aulc, first_passage
from training.statistics import Floats
from training.trainer import Run

ALPHA = 0.05
_LAST_WORDS = {"nll": "test_nll", "brier": "test_brier", "ece": "test_ece"}


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The runs of one tier and what they are judged by.

    labels: (T,) int64 of the test items as given; verified: the same where a person or the truth
    corrected them, else None. chance: accuracy of the commonest class on validation. groups: of
    checks, in the order of the bits of `set:` arms. cleaning_cpu_s: what profile, check and clean
    took for each part in which the data came, CPU seconds; empty where nobody counted. unchanged:
    the cleaned arm is the raw one, by its samples and not by what its runs gave.
    """

    runs: Mapping[str, Sequence[Run]]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    chance: float
    margin: float = 0.003
    verified: NDArray[np.int64] | None = None
    groups: tuple[str, ...] = ()
    cleaning_cpu_s: tuple[float, ...] = ()
    unchanged: bool = False

    def arms(self) -> list[str]:
        """The arms that were compared; pilots only set targets."""
        return [arm for arm in self.runs if arm != PILOT]

    def predictions(self, arm: str) -> NDArray[np.int16]:
        """Return (S, T): the class that seed s gives each test item."""
        return np.stack([run.test_pred for run in self.runs[arm]])

    def hits(self, arm: str, labels: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
        """Return (S, T): was the item right in seed s."""
        right: NDArray[np.bool_] = self.predictions(arm) == (
            self.labels if labels is None else labels
        )
        return right

    def values(self, arm: str, endpoint: str, target: float = 1.0) -> Floats:
        """Return one value for each seed, (S,); times are infinite where never reached."""
        runs = self.runs[arm]
        if endpoint == "final_acc":
            return np.asarray(self.hits(arm).mean(axis=1), np.float64)
        if endpoint == "verified_acc":
            return np.asarray(self.hits(arm, self.verified).mean(axis=1), np.float64)
        if endpoint == "worst_class_acc":
            return np.asarray(self.class_accuracy(arm)[:, self.counts() > 0].min(axis=1))
        if endpoint == "aulc":
            return np.array([aulc(run.steps, run.val_acc) for run in runs])
        if endpoint in _LAST_WORDS:
            return np.array([getattr(run, _LAST_WORDS[endpoint]) for run in runs])
        return np.array([first_passage(run.steps, run.val_acc, target) for run in runs])

    def counts(self, labels: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return the test items of each class, (classes,)."""
        truth = self.labels if labels is None else labels
        return np.bincount(truth[truth >= 0], minlength=len(self.classes))

    def class_accuracy(self, arm: str, labels: NDArray[np.int64] | None = None) -> Floats:
        """Return (S, classes); NaN for a class without test items."""
        hits, truth = self.hits(arm, labels), self.labels if labels is None else labels
        columns = [hits[:, truth == c] for c in range(len(self.classes))]
        empty = np.full(hits.shape[0], np.nan)
        return np.stack([c.mean(axis=1) if c.size else empty for c in columns], axis=1)

    def same(self, arm: str, versus: str) -> bool:
        """Say whether both arms gave the same runs, see `same_runs`."""
        return same_runs(self.runs[arm], self.runs[versus])

    @property
    def control_is_raw(self) -> bool:
        """Whether the control drops nothing: both primary contrasts are one hypothesis then."""
        return self.same(RANDOM_DROP, RAW)

    def grain(self, arm: str, versus: str, count: int | None = None) -> float:
        """Return the step of an accuracy over `count` test items (all); 0 between equal runs."""
        return find_grain(self.runs[arm], self.runs[versus], count or self.labels.size)

    @property
    def budget(self) -> float:
        """The common number of steps: where times are censored."""
        return float(self.runs[RAW][0].steps[-1])


def same_runs(runs: Sequence[Run], others: Sequence[Run]) -> bool:
    """Say whether paired runs are the same, curves and predictions alike."""
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
        for one, other in zip(runs, others, strict=True)
        for name in ("test_pred", "val_acc", "val_nll")
    )


def find_grain(runs: Sequence[Run], others: Sequence[Run], count: int) -> float:
    """Return the step of an accuracy over `count` items; 0 between equal runs."""
    return 0.0 if same_runs(runs, others) else 1 / count


def compare(a: Floats, b: Floats, *, grain: float = 0.0, alpha: float = ALPHA) -> dict[str, Any]:
    """Return estimate, low, high, p, n, mde, rho and p_sign_flip of paired values, (S,) each.

    No detectable effect is told where nothing varied. alpha: of the detectable effect; a primary
    contrast must pass Holm's first step.
    """
    sd, n = st.spread(a, b, grain), a.size
    return {
        **asdict(st.paired_t(a, b, grain=grain)),
        "mde": st.detectable(sd, n, alpha) if sd > 0 else None,
        "rho": st.correlation(a, b),
        "p_sign_flip": st.sign_flip(a, b) if n <= 16 else None,  # noqa: PLR2004 - 65,536 flips
    }
