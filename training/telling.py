"""What an experiment says of its tiers together, and how its report becomes JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def agree(tiers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return each tier's word, and whether none contradicts another in sign; None of one tier."""
    if len(tiers) < 2:  # noqa: PLR2004
        return None
    verdicts = {name: tier["verdict"] for name, tier in tiers.items()}
    signs = {float(np.sign(verdict["estimate"])) for verdict in verdicts.values()}
    words = {name: verdict["word"] for name, verdict in verdicts.items()}
    same = not signs >= {1.0, -1.0}
    told = "The tiers point in opposite directions"
    if same:
        told = "Both tiers point the same way" if len(signs) == 1 else "One tier shows nothing"
    listed = ", ".join(f"{name}: {word}" for name, word in words.items())
    return {"sign": same, "words": words, "sentence": f"{told} ({listed})."}


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
