"""The k-th smallest of a few numbers; numba takes ten seconds to compile numpy's own functions."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from checks.metrics.compiled import compiled


@compiled
def select(values: NDArray[Any], k: int) -> Any:
    """Return the k-th smallest of `values`, counted from 0; what is smaller then lies before it.

    Args:
        values: (N,), N at least 1, no NaN; they change places.
        k: 0..N - 1.

    Source: Hoare 1961, Algorithm 65: Find.

    >>> import numpy as np
    >>> select(np.array([5.0, 1.0, 4.0]), 1)
    4.0
    """
    low, high = 0, values.size - 1
    while low < high:
        pivot = values[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while values[right] > pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if k <= right:
            high = right
        elif k >= left:
            low = left
        else:
            break
    return values[k]
