"""Out-of-fold class probabilities of a table by boosted trees: no row is scored by what saw it.

scikit-learn sums gradients in the order of its threads, so the trees grow on one; the cost is
bounded by the rows, columns and trees that a fold may have.
"""

from __future__ import annotations

from itertools import islice, product
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from training.arms import TrainingData
from training.errors import TrainingError
from training.probabilities import OutOfFold

BOOSTED_VERSION = 1  # raised where the same rows get other scores
ROWS_MAX = 40_000  # fitted on in a fold
CELLS_MAX = 4_000_000  # the same, times the columns
ROWS_MIN = 2_000  # whatever the columns
TREES_MAX = 400  # of a fold, over all classes
ROUNDS_MAX, ROUNDS_MIN, STEP = 100, 10, 10
CODES_MAX = 255  # what scikit-learn takes in a category
LEARNT = 5.0  # learning rate times rounds
RATE_MAX = 0.3
TINY = 1e-9
DIGITS = 6
CLASSES_MAX = 100
LEAF_MIN, LEAF_MAX, LEAF_SHARE = 5, 40, 50  # rows in a leaf: a fiftieth of the rows, bounded
TREE = {"max_leaf_nodes": 8, "l2_regularization": 5.0, "max_features": 0.4}
REPEATS = 2
DEALT_BELOW = 10  # contents of a class for each fold: smaller classes are dealt out evenly
_FOLD, _DRAW = 1, 2
_NOBODY = np.iinfo(np.int64).max


class _Dealt(NamedTuple):
    """fold: of each row, -1 for contents that no labelled train row has. draw: who goes first."""

    folds: int
    fold: NDArray[np.int64]
    draw: NDArray[np.uint64]


class _Part(NamedTuple):
    """fit: rows that a fold is fitted on. scored: rows that it scores. share: 1 for its own."""

    fit: NDArray[np.int64]
    scored: NDArray[np.int64]
    share: NDArray[np.float32]


def boosted_out_of_fold(
    data: TrainingData,
    *,
    folds: int = 5,
    seed: int = 0,
    rows_max: int = ROWS_MAX,
    repeats: int = REPEATS,
) -> OutOfFold:
    """Return class probabilities for every row, each by trees that its content was kept from.

    A row's fold follows from its content (its key without the occurrence): copies share a fold,
    and rows that are added later move no other row, but in classes of less than ten contents a
    fold, which are dealt out evenly. Each fold fits on at most `rows_max` labelled train rows,
    those with the smallest hashes. Rows outside train, and those without a label, are never
    fitted on and scored by all folds, averaged; by their own fold where train has a copy. How
    many rounds count is one number for all folds, where the left-out likelihood was best.

    Args:
        data: of a table: numbers, codes and levels.
        folds: at least 2.
        seed: of folds and draws.
        repeats: times that all is dealt out anew; the scores are averaged.
        rows_max: rows fitted on in a fold; fewer where there are more than 100 columns.

    Returns:
        probs (N, classes), 0 for a class that no train row has. fold, of the first deal, -1 where
        a row has none.

    Raises:
        TrainingError: fewer labelled train rows than folds, fewer than two or more than 100
            classes in train, or nothing to read.

    Source: scikit-learn's HistGradientBoostingClassifier; leaves, columns drawn and repeats chosen
    on the made table of bench/label_tables.py and on 5,000 to 6,000 rows of adult, with 15 %
    flipped labels each. Twice the rounds find more on the made table and less on adult, where
    flips that depend on the columns are learnt by heart; so the rounds are capped.
    Cost: 13 CPU s for 32,561 rows of 9 columns and four classes, 30 for 300,000.

    >>> rng = np.random.default_rng(0)
    >>> numbers = rng.normal(size=(200, 1)).astype(np.float32)
    >>> data = TrainingData(
    ...     "table", ("low", "high"), np.arange(200).astype(str), (numbers[:, 0] > 0).astype(int),
    ...     np.zeros(200, np.int8), numbers=numbers, codes=np.zeros((200, 0), np.int64))
    >>> got = boosted_out_of_fold(data)
    >>> bool((got.probs.argmax(1) == data.labels).mean() > 0.9)
    True
    """
    known = _refuse(data, folds)
    matrix, categories = _columns(data)
    settings = {**_settings(known.size), "categorical_features": categories}
    stages = np.zeros((settings["max_iter"] // STEP, data.labels.size, known.size), np.float32)
    widest = max(ROWS_MIN, min(rows_max, CELLS_MAX // matrix.shape[1]))
    deals = [_deal(data, folds, seed + again) for again in range(repeats)]
    for again, number in product(range(repeats), range(folds)):
        part = _part(data, deals[again], number, widest)
        labels = np.searchsorted(known, data.labels[part.fit])
        _add_scores(stages, matrix, labels, part, {**settings, "random_state": again})
    judged = np.where((data.split == 0) & (data.labels >= 0), deals[0].fold, -1)
    stages /= repeats
    return OutOfFold(data.keys, _choose(data, stages, known), judged)


def _refuse(data: TrainingData, folds: int) -> NDArray[np.int64]:
    """Return the classes that labelled train rows have, ascending."""
    known = np.unique(data.labels[data.train])
    if data.train.size < folds:
        raise TrainingError(
            "probabilities", "fewer training samples than folds", got=data.train.size,
            allowed=f"At least {folds}.",
        )  # fmt: skip
    if not 2 <= known.size <= CLASSES_MAX:  # noqa: PLR2004 - a choice needs two
        raise TrainingError(
            "probabilities", "trees are grown for few classes only", got=known.size,
            allowed=f"2 to {CLASSES_MAX}.",
        )  # fmt: skip
    return known


def _columns(data: TrainingData) -> tuple[NDArray[np.float32], list[bool]]:
    """Numbers and codes beside each other, and which are categories; surplus codes are one."""
    assert data.numbers is not None
    assert data.codes is not None
    rows = slice(0, data.labels.size)
    codes = np.minimum(data.codes[rows], CODES_MAX - 1).astype(np.float32)
    matrix = np.concatenate([data.numbers[rows], codes], axis=1)
    if not matrix.shape[1]:
        raise TrainingError("probabilities", "there is no column to learn from", got=0)
    return matrix, [False] * data.numbers.shape[1] + [True] * codes.shape[1]


def _hashes(texts: list[str], seed: int, stream: int) -> NDArray[np.uint64]:
    return np.array(
        [xxhash.xxh3_64_intdigest(f"{seed}:{stream}:{text}".encode()) for text in texts], np.uint64
    )


def _deal(data: TrainingData, folds: int, seed: int) -> _Dealt:
    """Deal the rows out by content; a content that has several labels goes by the smallest."""
    keys = pl.Series(data.keys.tolist(), dtype=pl.String).str.replace(r"-\d+$", "")
    contents, place = np.unique(keys.to_numpy().astype(np.str_), return_inverse=True)
    told = contents.tolist()
    bits, draw = _hashes(told, seed, _FOLD), _hashes(told, seed, _DRAW)
    owner = np.full(contents.size, _NOBODY)
    np.minimum.at(owner, place[data.train], data.labels[data.train])
    fold = (bits % np.uint64(folds)).astype(np.int64)
    for label in np.unique(owner[place[data.train]]):
        members = np.flatnonzero(owner == label)
        if members.size < DEALT_BELOW * folds:
            fold[members[np.argsort(bits[members], kind="stable")]] = (
                np.arange(members.size) % folds
            )
    fold[owner == _NOBODY] = -1
    return _Dealt(folds, fold[place], draw[place])


def _settings(classes: int) -> dict[str, Any]:
    """Return what a fold's trees are grown with; two classes share a tree."""
    rounds = TREES_MAX // classes if classes > 2 else ROUNDS_MAX  # noqa: PLR2004
    rounds = max(ROUNDS_MIN, min(ROUNDS_MAX, rounds // STEP * STEP))
    return {**TREE, "learning_rate": min(RATE_MAX, LEARNT / rounds), "max_iter": rounds}


def _part(data: TrainingData, dealt: _Dealt, number: int, widest: int) -> _Part:
    """Return what fold `number` is fitted on, the smallest draws first, and what it scores."""
    fold, folds = dealt.fold, dealt.folds
    rows = data.train[fold[data.train] != number]
    if rows.size > widest:
        rows = np.sort(rows[np.lexsort((rows, dealt.draw[rows]))[:widest]])
    scored = np.flatnonzero((fold == number) | (fold < 0))
    return _Part(rows, scored, np.where(fold[scored] < 0, 1 / folds, 1).astype(np.float32))


def _add_scores(
    stages: NDArray[np.float32], matrix: NDArray[np.float32], labels: NDArray[np.int64],
    part: _Part, settings: dict[str, Any],
) -> None:  # fmt: skip
    """Fit a fold on one thread and add to each stage what the fold says of the rows it scores."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - slow to import
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    classes = np.unique(labels)
    if classes.size == 1:  # all that the other folds know
        stages[:, part.scored, classes[0]] += part.share
        return
    leaf = max(LEAF_MIN, min(LEAF_MAX, labels.size // LEAF_SHARE))
    model = HistGradientBoostingClassifier(
        **settings, min_samples_leaf=leaf, early_stopping=False,
    )  # fmt: skip
    with threadpool_limits(1):
        model.fit(matrix[part.fit], labels)
        grown = model.staged_predict_proba(matrix[part.scored])
        for stage, probs in enumerate(islice(grown, STEP - 1, None, STEP)):
            told = (probs * part.share[:, None]).astype(np.float32)
            stages[stage][np.ix_(part.scored, classes)] += told


def _choose(
    data: TrainingData, stages: NDArray[np.float32], known: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the stage that believes the given labels most, as (N, all classes)."""
    rows = data.train
    at = np.searchsorted(known, data.labels[rows])
    losses = [-np.log(stage[rows, at].astype(np.float64) + TINY).mean() for stage in stages]
    probs = np.zeros((data.labels.size, len(data.classes)), np.float32)
    probs[:, known] = stages[int(np.argmin(np.round(losses, 9)))]
    return np.round(probs, DIGITS)
