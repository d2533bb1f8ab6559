"""Which checks and which contract run, with which settings."""

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


def locate_contract(config: Config) -> str:
    """Return a contract's path from the configuration's folder; a module's name stays; "" for none.

    It is given as `load_contract` takes it, with the class behind a colon.
    """
    path = config.contract.path or ""
    file, colon, model = path.partition(":")
    is_file = file.endswith((".py", ".yaml", ".yml"))
    return f"{config.locate(file)}{colon}{model}" if is_file else path
