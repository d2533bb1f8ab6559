"""What an experiment says of its tiers together, and how its report becomes JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def agree(tiers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return each tier's word, and whether the tiers point the same way; None of one tier.

    A tier points somewhere only where its 95 % interval clears zero and its runs could tell (see
    `training.sensitivity`): the sign of an estimate that may be zero is a coin's.

    Returns:
        words by tier, sentence, and sign: True where all point the same way, False where they
        contradict each other, None where one or more point nowhere.
    """
    if len(tiers) < 2:  # noqa: PLR2004
        return None
    verdicts = {name: tier["verdict"] for name, tier in tiers.items()}
    signs = {name: _sign(verdict) for name, verdict in verdicts.items()}
    words = {name: verdict["word"] for name, verdict in verdicts.items()}
    clear = [name for name, sign in signs.items() if sign]
    same = len(set(signs.values())) == 1 if len(clear) == len(signs) else None
    told = "Both tiers point the same way" if same else "The tiers point in opposite directions"
    if same is None:
        only = f"Only tier {clear[0]} points" if clear else "Neither tier points"
        told = f"{only} clearly to one side of zero"
    listed = ", ".join(f"{name}: {word}" for name, word in words.items())
    return {"sign": same, "words": words, "sentence": f"{told} ({listed})."}


def _sign(verdict: Mapping[str, Any]) -> int:
    """1 or -1 where the interval clears zero, else 0."""
    if verdict.get("blind"):
        return 0
    return int(verdict["low"] > 0) - int(verdict["high"] < 0)


def finite(value: Any) -> Any:
    """Return the value as JSON has it: infinity and NaN become null, numpy scalars Python's.

    >>> finite({"a": (np.float64(1.0), float("inf"))})
    {'a': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): finite(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [finite(held) for held in value]
    if isinstance(value, np.generic):
        return finite(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
