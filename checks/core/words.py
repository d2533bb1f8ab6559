"""The words that tables may hold, apart from the models that guard them: those are slow to load."""

from __future__ import annotations

SPLITS = ("train", "val", "test")
DIMENSIONS = ("missing", "incorrect", "low_quality", "duplicate", "leak", "drift")
SEVERITIES = ("info", "warning", "error")
ACTIONS = ("keep", "down_weight", "review", "drop", "relabel", "repair")
OUTCOMES = ("kept", "dropped", "repaired", "quarantined")
VERDICTS = ("right", "wrong", "unsure")
