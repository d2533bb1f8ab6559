"""Classes that one split has and another has not."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.metrics.label_shares import count_shares, read_labelled, show_first

FOUND = {"sample_id": pl.String, "value": pl.Float64, "severity": pl.String,
         "evidence": pl.String}  # fmt: skip
HELD_OUT = ("val", "test")


def _example(train: str, test: str, flagged: int | None) -> SetExample:
    """A sample for each letter, which is its label."""
    labels = [*train, *test]
    ids = [f"{at:032x}-0" for at in range(len(labels))]
    splits = ["train"] * len(train) + ["test"] * len(test)
    samples: dict[str, list[object]] = {"sample_id": list(ids), "split": list(splits),
                                        "label": list(labels)}  # fmt: skip
    found = frozenset() if flagged is None else frozenset({ids[flagged]})
    return SetExample({"samples": samples}, found)


@set_check(
    needs=("samples",),
    dimension="incorrect",
    severity="warning",
    action="keep",
    relative=True,
    p_max=0.01,
    examples=(
        _example("a" * 40 + "b" * 40, "a" * 20, 40),
        _example("a" * 40 + "b" * 40, "a" * 9 + "b" * 9 + "c", 98),
        _example("a" * 40 + "b", "a" * 20, None),
        _example("ab" * 20, "ab" * 9, None),
    ),
)
def missing_class(tables: Mapping[str, pl.LazyFrame], *, p_max: float) -> Judged:
    """Flag a class of train that validation or test lacks, and a class that train never shows.

    A class that a held-out split asks for and train lacks is an error, however rare. One that a
    held-out split lacks is a warning where a random split of the set would leave it out with a
    chance of at most `p_max` over all its classes. One finding for each class, on its first
    sample; the value is how many samples it has where it is found. Other spellings of a class are
    that class: `label_spelling` tells them.

    Why: a class that train never shows is never predicted; of one that test lacks, the accuracy
    says nothing, and a validation without it chooses models that forget it.
    Source: deepchecks 0.19, NewLabelTrainTest; the chance of an absence is hypergeometric.
    """
    labelled = read_labelled(tables)
    shares = count_shares(labelled)
    facts: dict[str, object] = {f"classes_{split}": sum(n > 0 for n in counts.values())
                                for split, counts in shares.items()}  # fmt: skip
    if "train" not in shares or len(shares) < 2:  # noqa: PLR2004 - a split and another
        return Judged(pl.DataFrame(schema=FOUND), facts=facts | {"not_judged": "a single split"})
    held = [split for split in HELD_OUT if split in shares]
    found = []
    for name in shares["train"]:
        count = shares["train"][name]
        told = _unseen(name, shares, held) if not count else _absent(name, shares, held, p_max)
        if told:
            found.append((name, *told))
    shown = show_first(labelled)
    rows = [(shown[name], float(n), severity, says) for name, n, severity, says in found]
    facts["missing"] = [says for *_, says in found]
    return Judged(pl.DataFrame(rows, schema=FOUND, orient="row").sort("sample_id"), facts=facts)


def _unseen(
    name: str, shares: Mapping[str, Mapping[str, int]], held: list[str]
) -> tuple[int, str, str]:
    """What is said of a class that train lacks."""
    there = {split: shares[split][name] for split in held if shares[split][name]}
    told = " and ".join(f"{count} samples in {split}" for split, count in there.items())
    return sum(there.values()), "error", f"'{name}' has {told}, but none in train"


def _absent(
    name: str, shares: Mapping[str, Mapping[str, int]], held: list[str], p_max: float
) -> tuple[int, str, str] | None:
    """What is said of a class that held-out splits lack; None where chance may explain it."""
    without = []
    for split in held:
        if shares[split][name]:
            continue
        if _chance(name, shares, split) * len(shares["train"]) <= p_max:
            without.append(split)
    if not without:
        return None
    count = shares["train"][name]
    return count, "warning", f"'{name}' has {count} train samples, but none in {', '.join(without)}"


def _chance(name: str, shares: Mapping[str, Mapping[str, int]], split: str) -> float:
    """The chance that a random split of this size has no sample of the class."""
    from scipy.stats import hypergeom  # noqa: PLC0415 - two thirds of a second

    size = sum(shares[split].values())
    total = sum(sum(counts.values()) for counts in shares.values())
    own = sum(counts[name] for counts in shares.values())
    return float(hypergeom.pmf(0, total, own, size))
