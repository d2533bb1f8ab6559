"""Groups of samples whose labels are guessed worse than those of the same classes elsewhere."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.core.corrections import adjust_benjamini
from checks.metrics.column_table import read_columns
from checks.metrics.group_errors import GroupError, compare_group
from checks.metrics.label_shares import read_labelled
from checks.metrics.similarity import draw_references, nearest
from checks.metrics.vectors import find_directions, stack
from checks.sets.drawn import ROWS_MAX, draw_rows
from checks.sets.shared_traits import name_traits

FOUND = {"sample_id": pl.String, "column": pl.String, "value": pl.Float64,
         "threshold": pl.Float64, "evidence": pl.String}  # fmt: skip
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]
CLUSTERS_MAX, CLUSTER_SIZE = 40, 100
NEIGHBOURS, REFERENCES = 50, 10_000
VALUES_MAX = 50  # of a column, above which its values are no groups
TRAIN_MIN = 200
LEARNT_MAX, ROUNDS = 5000, 20  # rows that clusters are learnt from, and how often they move
TOLD = 10
DIGITS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """column: of the table, None for a cluster. name: how it is called. inside: shape (N,)."""

    column: str | None
    name: str
    inside: Flags


def _example(*, worse: bool) -> SetExample:
    """Four far clouds of two classes, tellable in three of them; in the fourth, if not `worse`."""
    place = np.arange(480)
    cloud, kind = place % 4, place // 4 % 2
    last = cloud == cloud.max()
    # the middle bits of the squares are a coin that the place does not tell
    coin = (place * place * 2654435761 >> 13) & 1
    shown = np.where(last, coin, kind) if worse else kind
    jitter = place * 2.399963
    far = 20.0 * np.eye(4)[cloud]
    far[:, 0] += 0.3 * np.cos(jitter)
    points = np.column_stack([
        far, 6.0 * shown + 0.3 * np.sin(jitter),
    ])  # fmt: skip
    ids = [f"{at:032x}-0" for at in place]
    first = [ids[3]] if worse else []  # the first that its neighbours guess wrong
    tables: dict[str, dict[str, list[object]]] = {
        "samples": {"sample_id": list(ids), "split": ["train"] * 480,
                    "label": ["xy"[one] for one in kind]},
        "features": {"sample_id": list(ids), "features": points.tolist()},
    }  # fmt: skip
    return SetExample(tables, frozenset(first))


@set_check(
    needs=("samples", "features", "metrics?", "rows?", "columns?"),
    dimension="low_quality",
    severity="info",
    action="keep",
    relative=True,
    gap_min=0.2,
    p_max=0.01,
    group_count=30,
    seed=0,
    examples=(_example(worse=True), _example(worse=False)),
)
def underperforming_group(
    tables: Mapping[str, pl.LazyFrame], *, gap_min: float, p_max: float, group_count: int, seed: int
) -> Judged:
    """Flag a group whose labels are guessed wrong oftener than those of its classes elsewhere.

    Each label is guessed from the 50 nearest train samples without itself. Groups are clusters of
    the features (k-means) and, in a table, the rows that share a value of a column. One is flagged
    if the share of wrong guesses is at least `gap_min` above what its classes have outside it, and
    chance does so in at most `p_max` (Benjamini-Hochberg over all groups). Groups of fewer than
    `group_count` samples are not judged. A class that is harder everywhere is no such group. The
    finding names the commonest class, what its samples share, and one that is guessed wrong.

    Ask what the group is: one source, one annotator, one kind of picture. It may need other
    labels, more samples, or a feature that tells its classes apart.

    Why: the mean accuracy hides a tenth of the samples on which the model is no better than chance.
    Source: cleanlab Datalab 2.9.0 (underperforming_group) takes the worst cluster without a test,
    and so a class that is harder; slices by value as in Chung et al. 2019, Slice Finder.
    """
    frame = read_labelled(tables)
    features = tables["features"].select("sample_id", "features").drop_nulls("features").collect()
    frame = frame.join(features, on="sample_id", how="inner", maintain_order="left")
    train = np.flatnonzero(frame["split"].to_numpy() == "train").astype(np.int64)
    if train.size < TRAIN_MIN or frame["label"].n_unique() < 2:  # noqa: PLR2004 - a choice
        fact = {"not_judged": f"{train.size} labelled train samples with features"}
        return Judged(pl.DataFrame(schema=FOUND), facts=fact)
    points = find_directions(stack(frame["features"]), train, seed)
    frame = frame.drop("features")
    given = frame["label"].rank("dense").cast(pl.Int64).to_numpy() - 1
    guessed = _guess(points, given, train, seed)
    wrong = guessed != given
    groups = [*_cluster(points, train, seed), *_slice(frame, tables)]
    groups = [one for one in groups if group_count <= one.inside.sum() <= len(given) - group_count]
    errors = [compare_group(one.inside, wrong, given, guessed) for one in groups]
    chances = adjust_benjamini([one.p for one in errors])
    flagged = [(group, error) for group, error, p in zip(groups, errors, chances, strict=True)
               if error.gap >= gap_min and p <= p_max]  # fmt: skip
    flagged.sort(key=lambda one: (-one[1].gap, one[0].name))
    rows = [_find(frame, tables, group, error, wrong, gap_min) for group, error in flagged]
    facts = {"groups_judged": len(groups), "wrong_frac": round(float(wrong.mean()), DIGITS),
             "worst": [row[-1] for row in rows[:TOLD]]}  # fmt: skip
    told = pl.DataFrame(rows, schema=FOUND, orient="row")
    return Judged(told.sort("sample_id", "column"), facts=facts)


def _guess(points: npt.NDArray[np.float32], given: Codes, train: Codes, seed: int) -> Codes:
    """The commonest label among the nearest train samples without itself; ties to the lowest."""
    drawn, own = draw_references(train, REFERENCES, len(points), seed)
    near, _ = nearest(points, points[drawn], own, min(NEIGHBOURS, drawn.size - 1))
    classes = int(given.max()) + 1
    cells = np.arange(len(points))[:, None] * classes + given[drawn][near]
    votes = np.bincount(cells.ravel(), minlength=len(points) * classes)
    guess: Codes = votes.reshape(-1, classes).argmax(axis=1).astype(np.int64)
    return guess


def _cluster(points: npt.NDArray[np.float32], train: Codes, seed: int) -> list[Group]:
    """Clusters of the features, learnt from train."""
    from scipy.cluster.vq import kmeans2, vq  # noqa: PLC0415 - slow to import

    learnt = points[train[:: -(-train.size // LEARNT_MAX)]].astype(np.float64)
    distinct = len(np.unique(learnt.round(4), axis=0))
    count = min(CLUSTERS_MAX, max(2, train.size // CLUSTER_SIZE), distinct)
    if count < 2:  # noqa: PLR2004 - one cluster is the set
        return []
    with warnings.catch_warnings():  # a cluster that runs empty is none
        warnings.simplefilter("ignore", UserWarning)
        centres, _ = kmeans2(learnt, count, iter=ROUNDS, minit="++", rng=seed)
    place, _ = vq(points.astype(np.float64), centres)
    return [Group(None, f"cluster {at}", place == at) for at in range(count)]


def _slice(frame: pl.DataFrame, tables: Mapping[str, pl.LazyFrame]) -> list[Group]:
    """The rows that share a value of a column of few values."""
    if not {"rows", "columns"} <= tables.keys():
        return []
    drawn = draw_rows(tables, ROWS_MAX)
    groups = []
    for column in read_columns(tables["columns"]):
        if column.kind not in ("category", "boolean"):
            continue
        texts = drawn.rows.select(column.text.alias("text"))["text"]
        named = pl.DataFrame({"sample_id": drawn.samples["sample_id"], "text": texts})
        mine = frame.select("sample_id").join(named, on="sample_id", how="left",
                                              maintain_order="left")["text"]  # fmt: skip
        values = mine.drop_nulls().unique().sort().to_list()
        if len(values) <= VALUES_MAX:
            groups += [Group(column.name, f"{column.name} = {value}",
                             (mine == value).fill_null(value=False).to_numpy())
                       for value in values]  # fmt: skip
    return groups


def _find(  # noqa: PLR0917 - a group and what it is compared with
    frame: pl.DataFrame, tables: Mapping[str, pl.LazyFrame], group: Group, error: GroupError,
    wrong: Flags, gap_min: float,
) -> tuple[str, str | None, float, float, str]:  # fmt: skip
    """The finding, on the first sample of the group that is guessed wrong."""
    shown = frame["sample_id"][int(np.flatnonzero(group.inside & wrong)[0])]
    labels = frame.filter(pl.Series(group.inside))["label"].value_counts()
    top = labels.sort("count", "label", descending=[True, False])
    traits = name_traits(frame["sample_id"], group.inside, tables, group.column)
    called = f"{group.name}, {error.size} samples" if group.column else f"{error.size} like samples"
    evidence = (
        f"{called}: {error.wrong / error.size:.0%} are guessed wrong by"
        f" their neighbours where their classes elsewhere have {error.expected:.0%}; the commonest"
        f" class is '{top['label'][0]}' ({top['count'][0] / error.size:.0%}){traits}"
    )
    return shown, group.column, round(error.gap, DIGITS), gap_min, evidence
