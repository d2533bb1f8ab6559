"""How it was measured and how to do it again: gate, manifests, digests, versions, machine."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from flows.report.folder import RunData

PACKAGES = ("gristmill", "polars", "pillow", "simplejpeg", "numpy", "torch", "great_expectations")
CHANGES = ("added", "removed", "changed", "touched", "changed_in_place")
EXAMPLES_MAX = 5


def strip_paths(value: Any) -> Any:
    """Return `value` without absolute paths (the last part stays) and without URL credentials.

    >>> strip_paths({"path": "/home/me/img", "url": "s3://key:secret@bucket/x", "n": 1})
    {'path': 'img', 'url': 's3://bucket/x', 'n': 1}
    """
    if isinstance(value, dict):
        return {str(key): strip_paths(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strip_paths(item) for item in value]
    if not isinstance(value, str):
        return value
    if "://" in value:
        parts = urlsplit(value)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    if value.startswith("/") and len(value) > 1:
        return PurePosixPath(value).name
    windows = PureWindowsPath(value)
    return windows.name if windows.is_absolute() else value


def describe_gate(gate: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the quality gate's outcome: broken rules first, engine faults apart.

    Returns:
        passed, failed (broken rules that close the gate), warned (broken ones that do not),
        results [{rule, sentence, column, severity, passed, batches {batch: value}}], engine_errors.
    """
    if gate is None:
        return None
    results = [strip_paths(one) for one in gate.get("results") or [] if isinstance(one, dict)]
    for one in results:
        sentence = str(one.get("sentence") or "").removeprefix(f"{one.get('rule')}: ")
        one["sentence"] = sentence.removesuffix(": holds")
    results.sort(key=lambda one: (bool(one.get("passed")), one.get("severity") != "error"))
    broken = [one for one in results if not one.get("passed")]
    failed = sum(one.get("severity", "error") == "error" for one in broken)
    return {
        "passed": bool(gate.get("passed")),
        "failed": failed,
        "warned": len(broken) - failed,
        "results": results,
        "engine_errors": [_sentence(error) for error in gate.get("engine_errors") or []],
    }


def _sentence(error: Any) -> str:
    if isinstance(error, dict) and "message" in error:
        return f"{error.get('rule')}: {error['message']}"[:500]
    return str(error)[:500]


def describe_source(run: RunData) -> dict[str, Any]:
    """Return what was looked at: name, kind, modality, samples by split, labelled share."""
    config, samples = strip_paths(run.config or {}), run.samples
    source = config.get("source") or {}
    profile = run.profile or {}
    modality = profile.get("modality") or ("table" if profile.get("columns") else "image")
    path = str(source.get("path") or "data").rstrip("/")
    return {
        "name": path.rpartition("/")[2] or path,
        "kind": profile.get("kind") or source.get("kind"),
        "modality": modality,
        "samples": _count_rows(profile) if samples is None else samples.height,
        "files": None if samples is None else samples["uri"].n_unique(),
        "bytes": 0 if samples is None else int(samples["byte_size"].sum() or 0),
        "classes": len(profile.get("classes") or {}) if samples is None
        else samples["label"].drop_nulls().n_unique(),
        "problem_count": int(profile.get("problem_count") or 0),
        "problems": strip_paths(profile.get("problems") or []),
    }  # fmt: skip


def _count_rows(profile: dict[str, Any]) -> int:
    """Return how many rows a table has before they are listed one by one."""
    return int(profile.get("samples") or profile.get("row_count") or 0)


def describe_reproduction(run: RunData) -> dict[str, Any]:
    """Return the command, the resolved config and the digests that a second run must reach."""
    config = dict(run.config or {})
    name = str((config.pop("run", None) or {}).get("name") or "gristmill")
    config = strip_paths(config)
    digests = []
    if config:
        canonical = json.dumps(config, sort_keys=True, separators=(",", ":"), default=str)
        digests.append(("config", _sha256(canonical)))
    written = {**(run.checks or {}), **(run.clean or {})}
    digests += [
        (f"{which} manifest", str(written[f"{which}_manifest"]))
        for which in ("raw", "cleaned")
        if written.get(f"{which}_manifest")
    ]
    if run.samples is not None:
        ids = run.samples["sample_id"].sort().to_list()
        digests.append(("sample ids", _sha256("".join(ids))))
    return {
        "command": f"gristmill run {name}.toml",
        "config": config,
        "digests": [{"name": name, "digest": digest} for name, digest in digests],
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def describe_occasion(run: RunData) -> dict[str, Any]:
    """Return what may differ between two runs of the same data and config: never compared."""
    experiment = run.experiment or {}
    tiers = experiment.get("tiers") or {}
    return {
        "run": run.path.resolve().name,
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
            "device": experiment.get("device"),
        },
        "versions": _versions() | (experiment.get("versions") or {}),
        "seconds": {
            name: {key: tier[key] for key in ("cpu_s", "wall_s") if key in tier}
            for name, tier in sorted(tiers.items())
        },
        "devices": {name: tell_device(tier) for name, tier in sorted(tiers.items())},
        "changes": _describe_changes(run.profile or {}),
    }


def tell_device(tier: dict[str, Any]) -> dict[str, str]:
    """Return in words what a tier asked of its device, and what was tried for it.

    >>> tell_device({"processes": 2, "packing": {"1": 100.0, "2": 190.0}})
    {'processes at once': '2 (steps a second with 1: 100, with 2: 190)'}
    """
    told = {}
    if processes := tier.get("processes"):
        rates = ", ".join(
            f"with {n}: {rate:.3g}" for n, rate in (tier.get("packing") or {}).items()
        )
        told["processes at once"] = f"{processes}" + (f" (steps a second {rates})" if rates else "")
    if probe := tier.get("device_probe"):
        tried = (
            f"{' '.join((one['layout'], one['precision'], one['engine']))} {one['step_ms']:.3g} ms"
            for one in probe["trials"]
        )
        told["way of computing"] = f"{' '.join(probe['way'])} (a step: {', '.join(tried)})"
    return told


def _describe_changes(profile: dict[str, Any]) -> dict[str, Any] | None:
    """Return how many files came, went and changed since the last profile, with a few names."""
    changes = profile.get("changes")
    if not isinstance(changes, dict):
        return None
    named = changes.get("examples")
    examples = named if isinstance(named, dict) else {}
    return {
        "counts": {name: int(changes.get(name) or 0) for name in CHANGES},
        "examples": {
            name: [str(one) for one in examples[name][:EXAMPLES_MAX]]
            for name in CHANGES
            if isinstance(examples.get(name), list) and examples[name]
        },
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
