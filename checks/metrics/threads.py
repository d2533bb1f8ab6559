"""How many threads linear algebra takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the linear algebra add in one order: the same bits however many threads there are.

    It costs no time here: on two busy cores, waiting threads burn more than they compute.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - not needed to name a check

    with threadpool_limits(1, "blas"):
        yield
