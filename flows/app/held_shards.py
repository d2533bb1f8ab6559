"""The shards of a run as they lie there now: what has gone of them, and which are current."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from flows.app.store import RunFolder
from training.errors import TrainingError
from training.shards.manifest import current_digest, find_lost, read_manifest

DIGITS = 12


def count_lost(store: Path, *digests: object) -> int:
    """Return how many files of these manifests are gone or cut short; sizes are read, no content.

    A manifest that cannot be read counts as one.
    """
    lost = set()
    for digest in map(str, digests):
        try:
            lost |= {path for path, _ in find_lost(store, read_manifest(store, digest))}
        except TrainingError:
            lost.add(digest)
    return len(lost)


def is_current(store: Path, digest: object) -> bool:
    """Say whether readers that name no manifest get this one, or would get none at all."""
    try:
        return current_digest(store) == digest
    except TrainingError:
        return True


def tell_evaluated(counts: Mapping[str, int]) -> str:
    """Return the sentence for samples outside of train that people changed; counts: by split.

    >>> tell_evaluated({"test": 3, "val": 1})[:59]
    "people's decisions changed 3 samples in test and 1 in val: "
    """
    first, *rest = counts.items()
    told = f"{first[1]:,} {'sample' if first[1] == 1 else 'samples'} in {first[0]}"
    told += "".join(f" and {count:,} in {split}" for split, count in rest)
    return (
        f"people's decisions changed {told}: so they are in the cleaned shards. The policy changes "
        "none there, and raw and cleaned are compared on them as they came"
    )


def tell_current(run: RunFolder) -> str | None:
    """Return the sentence for a run whose cleaned shards are not the current ones, else None.

    None too where the gate failed, which kept them from becoming current.
    """
    store, cleaned = run.file("shards"), run.read_json("clean.json").get("cleaned_manifest")
    gate = run.read_json("gate.json").get("passed", True)
    if cleaned is None or not gate or is_current(store, cleaned):
        return None
    try:
        held = read_manifest(store)
    except TrainingError:
        named = "a manifest that cannot be read"
    else:
        named = f"{held.name} ({held.digest[:DIGITS]})"
    back = f"`gristmill shards use {run.path} {str(cleaned)[:DIGITS]}` goes back"
    return f"shards: {named} is current, not what was cleaned; {back}"
