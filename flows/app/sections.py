"""The sections of gristmill.toml: every field says its unit, defaults are what we recommend."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from flows.app.recipe_section import RecipeSection
from flows.app.section import Section
from training.limits import SIDE_PX

Kind = Literal["auto", "image_folder", "image_table", "table"]
Tier = Literal["probe", "train"]
Fill = Literal["keep", "drop", "median", "mode", "group", "knn", "iterative"]
Packed = Literal["auto", 1, 2, 3, 4, 5, 6, 7, 8]
Seeds = Annotated[int, Field(ge=5, le=64)]
Share = Annotated[float, Field(gt=0, lt=1)]


class SourceSection(Section):
    """[source]: where the data is and how it is read."""

    path: str = Field(min_length=1, description="Folder, file or glob; relative to this file.")
    kind: Kind = Field("auto", description="Layout of the data; auto looks at it.")
    label: str | None = Field(None, description="Column that holds the class (tables).")
    image: str | None = Field(None, description="Column that holds the image bytes (image tables).")
    split: str | None = Field(None, description="Column that holds train, val or test (tables).")
    exclude: tuple[str, ...] = Field((), description="Shell globs of files to leave out.")


class LabelsSection(Section):
    """[labels]: how labels are spelt, and what is known of them beside the data.

    Columns named here are evidence about labels: no check, profile or network takes them for data.
    """

    rename: dict[str, str] = Field(
        {}, description="Labels that are spelt anew, in every split: as they are, as they shall be."
    )
    training: bool = Field(
        default=False, description="Train a network before the checks, to rank labels; minutes."
    )
    folds: int = Field(
        0, ge=0, le=20, description="Networks that score what they never saw, 2 or more; 0: none."
    )

    embedding: str | None = Field(
        None,
        min_length=1,
        description="Column of vectors, or a .parquet or .csv file with sample_id, or uri and row;"
        " checks read it in place of our features.",
    )
    probabilities: str | tuple[str, ...] | None = Field(
        None,
        description="Columns of a model's out-of-sample class scores, one for each class, or a"
        " .parquet or .csv file of them with sample_id, or uri and row.",
    )

    @model_validator(mode="after")
    def _part_twice(self) -> LabelsSection:
        if self.folds == 1:
            message = "folds = 1 leaves nothing to train on; 0 is none, 2 or more train"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _name_scores(self) -> LabelsSection:
        told = self.probabilities
        if isinstance(told, str) and not told.lower().endswith((".parquet", ".csv")):
            message = f"probabilities is a list of columns or a .parquet or .csv file, no {told!r}"
            raise ValueError(message)
        if isinstance(told, tuple) and (len(told) < 2 or len(set(told)) < len(told)):  # noqa: PLR2004
            message = f"probabilities needs two or more columns, each once (got {list(told)})"
            raise ValueError(message)
        if isinstance(told, tuple) and self.embedding in told:
            message = f"column {self.embedding!r} cannot be both embedding and probabilities"
            raise ValueError(message)
        return self


class SplitSection(Section):
    """[split]: how samples without a given split are divided."""

    seed: int = Field(0, ge=0, description="Seed of the hash that divides; any whole number.")
    val_frac: float = Field(0.1, ge=0, lt=1, description="Share of samples for validation, 0..1.")
    test_frac: float = Field(0.2, ge=0, lt=1, description="Share of samples for the test, 0..1.")
    pool: bool = Field(
        default=False,
        description="Forget the splits that the source gives: all samples are divided.",
    )

    @model_validator(mode="after")
    def _leave_training(self) -> SplitSection:
        if self.val_frac + self.test_frac >= 1:
            message = "val_frac and test_frac leave nothing to train on; their sum must be below 1"
            raise ValueError(message)
        return self


class ProfileSection(Section):
    """[profile]: how images are decoded and measured. Workers and bundles change no result."""

    workers: int = Field(0, ge=0, description="Processes that decode; 0 takes one for each core.")
    bundle_size: int = Field(2000, ge=1, description="Images in one unit of work.")
    verify: Literal["none", "sample", "all"] = Field(
        "sample", description="Known files read again for rotten bytes; sample: 1 % in each run."
    )
    max_pixels: int = Field(100_000_000, ge=1, description="Largest image that is decoded, px.")
    max_seconds: float = Field(20.0, gt=0, description="Longest time for one image, CPU s.")
    max_memory_mb: int = Field(700, ge=64, description="Memory of one decoding process, MB.")


class ChecksSection(Section):
    """[checks]: which checks run. [checks.<id>] sets a check's parameters, severity and action."""

    modules: tuple[str, ...] = Field((), description="Files or modules with checks of your own.")
    disabled: tuple[str, ...] = Field((), description="Ids of checks that do not run.")
    labels: str | None = Field(
        None, description="CSV of some 20 rows whose wrong cells a person marked: row, wrong."
    )
    settings: dict[str, dict[str, Any]] = Field({}, description="Changes by check id.")

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, raw: Any) -> Any:
        """Move the sub-tables [checks.<id>] under `settings`."""
        if not isinstance(raw, dict):
            return raw
        known = {"modules", "disabled", "labels", "settings"}
        own = {key: value for key, value in raw.items() if key in known}
        rest = {key: value for key, value in raw.items() if key not in known}
        return {**own, "settings": {**own.get("settings", {}), **rest}} if rest else own


class ContractSection(Section):
    """[contract]: the user's own schema for a table."""

    path: str | None = Field(None, description="pandera model (.py, module:Class) or YAML file.")


class FillWay(Section):
    """[fill.columns.<name>]: how one column is filled."""

    method: Fill = Field(
        "keep", description="keep, drop (the row), or what fills the cell; words take their mode."
    )
    group_by: tuple[str, ...] = Field((), description="Columns that make the groups of `group`.")

    @model_validator(mode="after")
    def _name_groups(self) -> FillWay:
        if self.method == "group" and not self.group_by:
            message = "method group needs group_by, the columns whose values make the groups"
            raise ValueError(message)
        return self


class FillSection(FillWay):
    """[fill]: train cells that have no value, or a wrong one for which no check knows a better.

    Keys and free text only where `columns` names them. A proposal that a check makes goes first.
    All is fitted on train; validation and test stay as they came, and where filled rows are
    trained on, held-out ones are read filled alike.
    """

    indicator: bool = Field(
        default=True, description="Tell a network which cells were filled, one input a column."
    )
    rows_max: int = Field(
        10_000, ge=10, description="Train rows that knn and iterative are fitted on."
    )
    seed: int = Field(0, ge=0, description="Seed of iterative; any whole number.")
    columns: dict[str, FillWay] = Field({}, description="Columns that are filled another way.")


class PolicySection(Section):
    """[policy]: what is done about findings. Judging is not acting."""

    max_drop_frac: float = Field(0.10, ge=0, le=1, description="Most of train taken out, 0..1.")
    max_class_drop_frac: float = Field(0.15, ge=0, le=1, description="The same in a class, 0..1.")
    max_slice_drop_frac: float = Field(0.15, ge=0, le=1, description="The same in a slice, 0..1.")
    slices: tuple[str, ...] | None = Field(
        None, description="Columns that slice the set (annotator); by default those of few values."
    )
    min_class_count: int = Field(50, ge=0, description="Smaller classes are only flagged, samples.")
    max_class_share_loss: float = Field(
        0.20, ge=0, le=1, description="Most that a class's share may fall, relative, 0..1."
    )
    down_weight: float = Field(0.25, ge=0, le=1, description="Weight of a doubtful sample, 0..1.")
    weights: Literal["constant", "soft"] = Field(
        "soft",
        description="soft: a doubtful label weighs its chance of being right; others "
        "down_weight. constant: all weigh down_weight.",
    )
    ambiguous_weight: float = Field(
        1.0, ge=0, le=1, description="Weight where a doubtful label is plausible after all, 0..1."
    )
    relabel_prob_min: float = Field(
        0.9, ge=0, le=1, description="Least probability of a proposed label, 0..1."
    )
    sure_precision: float = Field(
        0.8, ge=0, le=1, description="Least calibrated precision of a sure label error, 0..1."
    )
    force: bool = Field(default=False, description="Lift the first three caps.")
    overrides: str | None = Field(
        None,
        description="Parquet or CSV of people's decisions: sample_id, action, new_label; or the "
        "verdicts that `review import` keeps: reviews.parquet by default, where it is there.",
    )
    reviewed_wrong: Literal["drop", "down_weight", "review"] = Field(
        "drop", description="What is done where people found a label wrong and named no better one."
    )


class LimitSection(Section):
    """[gate.columns.<name>]: limits of one column of the metric table."""

    min: float | None = Field(None, description="Least value, inclusive.")
    max: float | None = Field(None, description="Largest value, inclusive.")
    severity: Literal["info", "warning", "error"] = Field("error", description="error stops.")
    each_batch: bool = Field(default=False, description="Judge every batch, not only the whole.")
    mostly: float = Field(1.0, ge=0, le=1, description="Share of batches that must hold, 0..1.")


class GateSection(Section):
    """[gate]: what the data must be before anything is trained on it."""

    rows_min: float = Field(50, ge=0, description="Least samples in the set.")
    classes_min: float = Field(2, ge=0, description="Least classes in a labelled set.")
    unreadable_frac_max: float = Field(0.10, ge=0, le=1, description="Most unreadable, 0..1.")
    missing_label_frac_max: float = Field(0.20, ge=0, le=1, description="Most unlabelled, 0..1.")
    leak_rate_max: float = Field(0.05, ge=0, le=1, description="Most of train also in test, 0..1.")
    drift_max: float = Field(0, ge=0, description="Most columns with large drift from [drift].")
    warn_only: tuple[str, ...] = Field(
        ("leak_rate_max", "drift_max"), description="Rules that only warn."
    )
    off: tuple[str, ...] = Field((), description="Rules that are not judged.")
    columns: dict[str, LimitSection] = Field({}, description="Limits by column (rates 0..1).")
    suite: str | None = Field(None, description="A Great Expectations suite in place of the rules.")


class DriftSection(Section):
    """[drift]: comparison with a baseline that a person approved; see `gristmill baseline`."""

    baseline: str | None = Field(None, description="The file that `baseline approve` has written.")
    psi_moderate: float = Field(0.1, gt=0, description="Stability index beyond chance, moderate.")
    psi_large: float = Field(0.25, gt=0, description="Stability index beyond chance, large.")
    ratio_moderate: float = Field(1.5, gt=1, description="Factor of one value's share, moderate.")
    ratio_large: float = Field(3.0, gt=1, description="Factor of one value's share, large.")
    moved_frac_min: float = Field(
        0.02, ge=0, le=1, description="Least change of that share that counts, 0..1."
    )
    false_alarm: float = Field(
        0.05, gt=0, lt=1, description="Chance of calling a run without drift drifted, 0..1."
    )


class ShardsSection(Section):
    """[shards]: how cleaned data is stored."""

    layout: Literal["train", "archive"] = Field(
        "train", description="train: images as they are; archive: everything compressed."
    )
    shard_bytes: int = Field(
        256 << 20, ge=1 << 16, le=1 << 30, description="Largest average shard, bytes."
    )


class TrainingSection(Section):
    """[training]: the experiment that measures what the cleaning was worth."""

    tiers: tuple[Tier, ...] = Field(("probe", "train"), description="probe: frozen features.")
    seeds: int = Field(8, ge=2, le=64, description="Paired repetitions of each arm.")
    steps: int | None = Field(None, ge=1, description="Optimiser steps of each run; by set size.")
    batch_size: int | None = Field(None, ge=2, description="Samples in a step; by set size.")
    image_size: int | None = Field(None, description="Side of the images, px.", **SIDE_PX.bounds())
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes cuda, else cpu.")
    margin: float = Field(0.003, gt=0, lt=1, description="Accuracy change that is none, 0..1.")
    optimiser: Literal["sgd", "muon"] = Field("sgd", description="Of the network of images.")
    ablations: bool = Field(default=False, description="Each check's group alone and left out.")
    doses: tuple[Share, ...] = Field(
        (0.25, 0.5, 0.75),
        description="Shares of what cleaning changed, surest first, 0..1; each an arm of probe.",
    )
    raw_shares: tuple[Share, ...] = Field(
        (0.25, 0.5), description="Shares of the raw rows, 0..1; each an arm of probe."
    )
    subsets: bool = Field(
        default=False, description="All sets of at most 5 groups of checks, each an arm of probe."
    )
    equal_epochs: bool = Field(
        default=True, description="Train cleaned also for as many epochs as raw, not only steps."
    )
    leave_out: tuple[str, ...] = Field(
        (), description="Columns of a table that no network reads: keys, what tells the label."
    )
    recipe: RecipeSection | None = Field(
        None, description="How networks learn: see [training.recipe]."
    )
    yardstick: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Boosted trees beside a table's networks; auto: where they cost little.",
    )  # fmt: skip
    probe: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Try how images are computed fastest, once for all arms; auto: on a GPU.",
    )  # fmt: skip
    looks: tuple[Seeds, ...] = Field(
        (),
        description="Counts of seeds, such as 6, 12, 24, at which a clear effect ends the training;"
        " in place of seeds.",
    )  # fmt: skip
    packed: Packed = Field(
        "auto",
        description="Training processes that share a GPU; auto: as many as are fastest.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _rise(self) -> TrainingSection:
        if list(self.looks) != sorted(set(self.looks)):
            message = f"looks must rise, such as 6, 12, 24 (got {list(self.looks)})"
            raise ValueError(message)
        return self


class TruthSection(Section):
    """[truth]: known defects. For measuring checks only: no check and no policy reads it."""

    path: str | None = Field(
        None, description="Parquet: uri, row, defect, true_label, related_uri."
    )


class ReportSection(Section):
    """[report]: what the report shows."""

    title: str | None = Field(None, description="Heading; the source's name by default.")
    max_thumbnails: int = Field(480, ge=0, le=1000, description="Most pictures that are shown.")
