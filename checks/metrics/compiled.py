"""How loops over pixels and hashes are compiled: by numba, once on a machine, free of the GIL."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

_Function = TypeVar("_Function", bound=Callable[..., object])


def compiled(function: _Function) -> _Function:
    """Return `function` compiled at its first call; the result is kept on disk for later runs.

    >>> compiled(lambda x: x + 1)(2)
    3
    """
    return cast("_Function", njit(cache=True, nogil=True)(function))
