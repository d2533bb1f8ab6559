"""How loops over pixels and hashes are compiled: by numba, once on a machine, free of the GIL."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

_Function = TypeVar("_Function", bound=Callable[..., object])


def _start_numba() -> Callable[..., Any]:
    """Load numba and its targets now, without the scipy and the cffi that they look for.

    No kernel here has a matrix product or calls C. Scipy is a third of a second and 20 MB.
    """
    hidden = {"scipy", "cffi"} - sys.modules.keys()
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        from numba import njit  # noqa: PLC0415
        from numba.core.registry import cpu_target  # noqa: PLC0415

        cpu_target.target_context.refresh()
    finally:
        for name in hidden:
            del sys.modules[name]
    return cast("Callable[..., Any]", njit)


_njit = _start_numba()


def compiled(function: _Function) -> _Function:
    """Return `function` compiled at its first call; the result is kept on disk for later runs.

    >>> compiled(lambda x: x + 1)(2)
    3
    """
    return cast("_Function", _njit(cache=True, nogil=True)(function))
