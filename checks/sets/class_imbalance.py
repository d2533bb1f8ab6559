"""Classes with less than half their fair share of the samples."""

from __future__ import annotations

import math
from collections.abc import Mapping

import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.metrics.label_shares import count_shares, read_labelled, show_first

FOUND = {"sample_id": pl.String, "value": pl.Float64, "threshold": pl.Float64,
         "evidence": pl.String}  # fmt: skip
DIGITS = 4


def _example(*counts: int, flagged: str) -> SetExample:
    """Classes a, b, ... of these sizes; the first sample of each flagged one is named."""
    labels = [name for name, count in zip("abcdef", counts, strict=False) for _ in range(count)]
    ids = [f"{at:032x}-0" for at in range(len(labels))]
    samples: dict[str, list[object]] = {"sample_id": list(ids), "split": ["train"] * len(ids),
                                        "label": list(labels)}  # fmt: skip
    return SetExample({"samples": samples}, frozenset(ids[labels.index(one)] for one in flagged))


@set_check(
    needs=("samples",),
    dimension="low_quality",
    severity="info",
    action="keep",
    relative=True,
    share_min=0.5,
    p_max=0.01,
    class_count=10,
    examples=(
        _example(100, 100, 10, 20, flagged="cd"),
        _example(100, 90, 60, flagged=""),
        _example(3, 3, 1, flagged=""),
    ),
)
def class_imbalance(
    tables: Mapping[str, pl.LazyFrame], *, share_min: float, p_max: float, class_count: int
) -> Judged:
    """Flag a class that has less than `share_min` of its fair share of the train samples.

    The fair share of K classes is 1 / K each. A shortfall that chance would bring to some class of
    a balanced set with a probability above `p_max` is passed over (binomial, Bonferroni), and so
    is a set with fewer than `class_count` samples a class on average. One finding for each class,
    on its first sample, says how many samples it lacks; the value is its share over the fair one.
    The facts hold the evenness of each split: the entropy of its shares, 1 where all are equal.

    Weigh the rare classes in training, draw them more often, or collect more of them; and read the
    accuracy of each class, since that of the set hides them.

    Why: a rare class is learnt last, and a model that never says its name still looks accurate.
    Source: evenness is Pielou 1966. cleanlab Datalab 2.9.0 (class_imbalance) names the rarest class
    alone, below a tenth of the fair share; half is ours, and no class hides another.
    """
    labelled = read_labelled(tables)
    shares = count_shares(labelled)
    split = "train" if "train" in shares else next(iter(shares), "")
    counts = shares.get(split, {})
    counts = {name: count for name, count in counts.items() if count}
    total, classes = sum(counts.values()), len(counts)
    facts: dict[str, object] = {
        f"evenness_{name}": round(measure_evenness(list(one.values())), DIGITS)
        for name, one in shares.items()
    }
    empty = pl.DataFrame(schema=FOUND)
    if classes < 2 or total < classes * class_count:  # noqa: PLR2004 - two share
        return Judged(empty, facts=facts | {"not_judged": f"{total} samples, {classes} classes"})
    shown = show_first(labelled.filter(pl.col("split") == split))
    found = []
    for name, count in counts.items():
        part = count * classes / total
        if part < share_min and _chance(count, total, classes) * classes <= p_max:
            told = _say(name, counts, share_min, split)
            found.append((shown[name], round(part, DIGITS), share_min, told))
    facts |= {"classes": classes, "largest_over_smallest": round(
        max(counts.values()) / min(counts.values()), 2)}  # fmt: skip
    return Judged(pl.DataFrame(found, schema=FOUND, orient="row").sort("sample_id"), facts=facts)


def measure_evenness(counts: list[int]) -> float:
    """Return the entropy of the shares over that of equal ones: 1 even, 0 for a single class.

    >>> measure_evenness([5, 5]), measure_evenness([9, 0]), measure_evenness([4])
    (1.0, 0.0, 1.0)
    """
    total = sum(counts)
    if len(counts) < 2 or not total:  # noqa: PLR2004 - a single class is even
        return 1.0
    shares = [count / total for count in counts if count]
    return 0.0 - math.fsum(share * math.log(share) for share in shares) / math.log(len(counts))


def _chance(count: int, total: int, classes: int) -> float:
    """The chance of at most `count` of `total` samples in one of so many equal classes."""
    from scipy.stats import binom  # noqa: PLC0415 - two thirds of a second

    return float(binom.cdf(count, total, 1 / classes))


def _say(name: str, counts: Mapping[str, int], share_min: float, split: str) -> str:
    total, classes, own = sum(counts.values()), len(counts), counts[name]
    fair = 1 / classes
    bound = min(share_min, 1.0) * fair
    lack = math.ceil((bound * total - own) / (1 - bound))
    return (
        f"'{name}' has {own} of {total} {split} samples, {own / total:.1%}; the fair share of"
        f" {classes} classes is {fair:.1%}: it lacks {max(lack, 1)} samples to {share_min:g} of it"
    )
