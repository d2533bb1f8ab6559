"""Whether a comparison could have told its arms apart at all.

That no difference was found means something only where one could have been found: assay
sensitivity, ICH E10 (2000), section 1.5. Arms that have learnt nothing are alike whatever the data.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from training import statistics as st
from training.arms import CLEANED, RAW
from training.judged import Judged


def find_blindness(judged: Judged) -> dict[str, Any] | None:
    """Return why the accuracies of these runs cannot tell cleaned from raw, None where they can.

    Neither raw nor cleaned need be good, but one of the two must have learnt: a gain over a raw arm
    that learnt nothing is a gain. Accuracy alone is judged, as the verdict's endpoint. Of rare
    classes a network may learn much and yet always answer the commonest: its loss then tells.

    Returns:
        why unlearnt: neither arm is shown to get more test items right than always answering their
        commonest class does, which is a share `commonest` (0..1) of them (95 % interval over seeds
        and items, see `beats_commonest`). Runs that diverged never come here: they raise.
    """
    if beats_commonest(judged, RAW) or beats_commonest(judged, CLEANED):
        return None
    return {"why": "unlearnt", "commonest": float(judged.counts().max() / judged.labels.size)}


def beats_commonest(judged: Judged, arm: str) -> bool:
    """Say whether an arm is shown to be right more often than the commonest class of the test is.

    By the interval of `training.statistics.crossed_t`: one lucky item, alike in all seeds, is no
    learning.
    """
    constant = judged.labels == judged.counts().argmax()
    z = judged.hits(arm).astype(np.float32) - constant
    return st.crossed_t(z, grain=1 / judged.labels.size).low > 0
