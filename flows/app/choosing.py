"""Which checks run, with which settings."""

from __future__ import annotations

from checks.core.check import Check, load_checks, select_checks
from flows.app.config import Config
from flows.app.mistakes import own_modules

SUSPICION_CHECK = "unlikely_label"


def chosen_checks(config: Config, modality: str) -> list[Check]:
    """Return the checks that run, as the configuration sets them.

    The policy's `sure_precision` becomes the parameter of the label check, unless that is set.

    Raises:
        GristmillError: a check's module cannot be loaded.
    """
    asked = config.checks
    known = load_checks(own_modules(asked.modules, config.base))
    settings = {name: dict(changes) for name, changes in asked.settings.items()}
    if SUSPICION_CHECK in known:
        own = settings.setdefault(SUSPICION_CHECK, {})
        own.setdefault("precision_min", config.policy.sure_precision)
    return select_checks(known, modality, asked.disabled, settings)
