"""How many labels several columns tell together, guessed on rows that they were not learnt from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]
CELLS = 1 << 22  # scores held at a time


def guess_jointly(
    columns: Sequence[tuple[Codes, int]], labels: Codes, halves: npt.NDArray[np.bool_]
) -> tuple[int, int]:
    """Return how many labels all columns together guess right, and the commonest label alone.

    Naive Bayes over the places of each column, each half of the rows guessed from the other.

    Args:
        columns: places, shape (N,), from 0, and how many there are.
        labels: shape (N,), from 0.
        halves: shape (N,), which half a row lies in.

    Source: the independence rule, optimal for this loss even where columns depend on each other
    in many cases (Domingos and Pazzani 1997).

    >>> at = np.arange(80)
    >>> guess_jointly([(at // 40, 2)], at // 40, at % 2 == 0)
    (80, 40)
    """
    classes = int(labels.max(initial=0)) + 1
    right = common = 0
    for learnt in (halves, ~halves):
        sizes = np.bincount(labels[learnt], minlength=classes)
        chances = []
        for places, width in columns:
            cells = places[learnt] * classes + labels[learnt]
            table = np.bincount(cells, minlength=width * classes).reshape(width, classes)
            chances.append(np.log((table + 1.0) / (sizes + width)))
        asked = np.flatnonzero(~learnt)
        step = max(1, CELLS // classes)
        for rows in (asked[at : at + step] for at in range(0, asked.size, step)):
            score = np.tile(np.log(sizes + 1.0), (rows.size, 1))
            for (places, _), chance in zip(columns, chances, strict=True):
                score += chance[places[rows]]
            right += int((score.round(9).argmax(axis=1) == labels[rows]).sum())
        common += int((labels[asked] == sizes.argmax()).sum())
    return right, common
