"""Labels that are one label in several spellings: `<=50K` and `<=50K.`, `Yes` and ` yes`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

import polars as pl

RARE_FRAC_MAX = 0.1  # of the usual spelling's rows; two spellings that are both common may differ
_JOINT = re.compile(r"(?<=\w)[\s_-]+(?=\w)")
_WHOLE = re.compile(r"([-+]?\d+)\.0+")


def fold_label(label: str) -> str:
    """Return what is left of a label without its spelling.

    Width and composition of characters, blanks around and double ones within, underscores and
    hyphens between words, stops and commas behind it, `.0` behind a whole number, and case where
    there is more than one character, are spelling.

    >>> fold_label(" <=50K. "), fold_label("On_Time"), fold_label("1.0"), fold_label("A")
    ('<=50k', 'on time', '1', 'A')
    """
    text = unicodedata.normalize("NFKC", label).strip()
    bare = text.rstrip(".,;: ") or text
    whole = _WHOLE.fullmatch(bare)
    joined = _JOINT.sub(" ", whole.group(1) if whole else bare)
    return unicodedata.normalize("NFKC", joined.casefold()) if len(joined) > 1 else joined


def match_spellings(
    counts: Mapping[str, int], train: Mapping[str, int], rare_frac_max: float = RARE_FRAC_MAX
) -> dict[str, str]:
    """Return the usual spelling of each label that is spelt otherwise, sorted.

    Args:
        counts: rows of each label in the whole set.
        train: rows of each label in train; the usual spelling is the commonest one here.
        rare_frac_max: a spelling that train has too must be this much rarer there, 0..1. Where
            one is not, the labels may be meant to differ, and nothing is said about any of them.

    >>> match_spellings({"no": 9, "no.": 5, "a": 4, "A": 4}, {"no": 9, "a": 4, "A": 4})
    {'no.': 'no'}
    """
    groups: dict[str, list[str]] = {}
    for label in sorted(counts):
        groups.setdefault(fold_label(label), []).append(label)
    matched: dict[str, str] = {}
    for spellings in groups.values():
        usual = max(spellings, key=lambda s: (train.get(s, 0), counts[s]))
        others = [s for s in spellings if s != usual]
        if all(train.get(s, 0) <= rare_frac_max * train.get(usual, 0) for s in others):
            matched |= dict.fromkeys(others, usual)
    return dict(sorted(matched.items()))


def count_labels(samples: pl.DataFrame) -> tuple[dict[str, int], dict[str, int]]:
    """Return the rows of each label in all of `samples` (split, label), and in train alone."""
    known = samples.drop_nulls("label")
    train = known.filter(pl.col("split") == "train")
    whole, part = (frame.group_by("label").len().sort("label") for frame in (known, train))
    return dict(whole.iter_rows()), dict(part.iter_rows())
