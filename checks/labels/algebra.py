"""Small pieces of algebra that the scores of labels share."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)
LOG_ODDS_MAX = 12.0


def softmax(logits: Doubles) -> Doubles:
    """Return rows that sum to 1.

    >>> softmax(np.zeros((1, 2))).tolist()
    [[0.5, 0.5]]
    """
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Doubles = raised / raised.sum(axis=1, keepdims=True)
    return shares


def pick(table: npt.NDArray[Scalar], labels: Ints) -> npt.NDArray[Scalar]:
    """Return each row's value in the column of its label: (N,) of (N, K).

    >>> pick(np.array([[1, 2], [3, 4]]), np.array([1, 0])).tolist()
    [2, 3]
    """
    picked: npt.NDArray[Scalar] = table[np.arange(len(labels)), labels]
    return picked


def rank_within(values: npt.NDArray[np.floating], crowd: npt.NDArray[np.floating]) -> Doubles:
    """Return the middle rank of each value within the crowd, 0..1; equal values get equal ranks.

    >>> rank_within(np.array([1.0, 3.0]), np.array([1.0, 2.0])).tolist()
    [0.25, 1.0]
    """
    ordered = np.sort(crowd)
    low = np.searchsorted(ordered, values, side="left")
    return (low + np.searchsorted(ordered, values, side="right")) / (2 * max(1, ordered.size))


def find_log_odds(chances: npt.NDArray[np.floating]) -> Doubles:
    """Return the log odds of probabilities 0..1, cut to -12..12.

    >>> find_log_odds(np.array([0.5, 1.0])).tolist()
    [0.0, 12.0]
    """
    least = np.exp(-LOG_ODDS_MAX)
    held = np.clip(np.asarray(chances, np.float64), least, 1 - least)
    odds: Doubles = np.log(held / (1 - held)).round(9)
    return odds
