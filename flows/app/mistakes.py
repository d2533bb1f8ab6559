"""Sentences about what is wrong in a configuration, with the nearest key that is right."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from checks.core.errors import GristmillError

OWN_KEYS = ("modules", "disabled", "labels", "settings")


def explain(broken: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return one sentence for each error of `broken`, in the order of the file's sections."""
    return [_sentence(error, model) for error in broken.errors(include_url=False)]


def _sentence(error: Any, model: type[BaseModel]) -> str:
    place = [str(part) for part in error["loc"]]
    where = ".".join(place) or "the file"
    got = "" if error["type"] in ("missing", "value_error") else f" (got {error['input']!r})"
    message = error["msg"].removeprefix("Value error, ")
    hint = _nearest(place, model) if error["type"] == "extra_forbidden" else ""
    return f"{where}: {message}{got}.{hint}"


def _nearest(place: list[str], model: type[BaseModel]) -> str:
    """Return a hint at the key that was meant by the last part of `place`."""
    for part in place[:-1]:
        field = model.model_fields.get(part)
        inner = _section(field.annotation) if field else None
        if inner is None:
            return ""
        model = inner
    known = [name for name, field in model.model_fields.items() if not field.exclude]
    return _hint(place[-1], known)


def _section(annotation: Any) -> type[BaseModel] | None:
    """Return the section that an annotation stands for, also where it may be left out."""
    kinds = (annotation, *get_args(annotation))
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)


def _hint(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(sorted(known))}."


def check_mistakes(section: object, base: Path) -> list[str]:
    """Return one sentence for each wrong name, parameter or value under [checks].

    `section`: the raw table as the TOML file gives it. Paths of the user's own modules are
    relative to `base`.
    """
    if not isinstance(section, Mapping):
        return []
    if not set(section) - set(OWN_KEYS) and not any(section.values()):
        return []  # as a run folder tells it: loading every check costs a second
    from checks.core.check import load_checks  # noqa: PLC0415 - only where checks are configured

    try:
        known = load_checks(own_modules(section.get("modules", ()), base))
    except (GristmillError, ImportError) as broken:
        return [f"checks.modules: {broken}"]
    lines = [
        f"checks.disabled: no check is named {name!r}.{_hint(str(name), list(known))}"
        for name in section.get("disabled", ())
        if name not in known
    ]
    nested = section.get("settings", {})
    settings = {key: value for key, value in section.items() if key not in OWN_KEYS} | dict(nested)
    for name, changes in settings.items():
        if name not in known:
            names = [*known, "modules", "disabled", "labels"]
            lines.append(f"checks.{name}: no check is named {name!r}.{_hint(name, names)}")
        elif isinstance(changes, Mapping):
            lines += _setting_mistakes(known[name], changes)
        else:
            lines.append(f"checks.{name}: must be a table of settings (got {changes!r}).")
    return lines


def _setting_mistakes(check: Any, changes: Mapping[str, Any]) -> list[str]:
    from checks.core.words import ACTIONS, SEVERITIES  # noqa: PLC0415

    lines = []
    for key, value in changes.items():
        where = f"checks.{check.id}.{key}"
        fixed = {"severity": SEVERITIES, "action": ACTIONS}.get(key)
        if fixed is not None:
            if value not in fixed:
                lines.append(f"{where}: must be one of {', '.join(fixed)} (got {value!r}).")
        elif key not in check.params:
            names = [*check.params, "severity", "action"]
            told = f"{check.id} has no such parameter (got {value!r})."
            lines.append(f"{where}: {told}{_hint(key, names)}")
        else:
            try:
                check.configured(**{key: value})
            except GristmillError as broken:
                lines.append(str(broken))
    return lines


def own_modules(modules: object, base: Path) -> list[str]:
    """Return the user's modules, those that are files as paths that start from `base`."""
    names = modules if isinstance(modules, list | tuple) else []
    return [str(base / str(name)) if str(name).endswith(".py") else str(name) for name in names]
