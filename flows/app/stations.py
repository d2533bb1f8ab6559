"""The five stations: profile, check, clean, compare, report. Plain functions over a run folder.

Each reads what the one before has written, is skipped where its stamp still holds, and otherwise
first takes away what later stations made of the old state: a run folder never mixes two states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import polars as pl

from checks.core.errors import SourceError
from checks.metrics.image_schema import METRICS_VERSION
from checks.metrics.tabular_profile import PROFILE_VERSION
from flows.app.config import Config, digest
from flows.app.costs import counted
from flows.app.intake import open_data, reread
from flows.app.outputs import OUTPUTS
from flows.app.progress import Progress, quiet
from flows.app.refusals import advise_labels
from flows.app.store import BESIDE, RunFolder, file_digest

PASSIVE = ("keep", "review")  # actions that leave a sample as it came
STORED = {"dynamics": "label_dynamics"}  # those of the comparison are dynamics.parquet
Facts = dict[str, Any]
Station = Callable[[Config, RunFolder, Progress | None], Facts]


def profile(config: Config, run: RunFolder, progress: Progress | None = None) -> Facts:
    """Measure every sample: samples.parquet, metrics.parquet, profile.json.

    Of a table only the columns: profile.json. Its rows are listed when they are to be judged.

    Raises:
        SourceError: the data cannot be reached or has no known shape.
    """
    source = open_data(config)
    if source.modality == "table":
        return _profile_columns(config, run, source, progress)
    from flows.app.intake import measure_images  # noqa: PLC0415 - numba is slow to import

    entries = source.entries()
    settings = _settings_of_profile(config)
    again = reread(config, run, source, entries)
    inputs = _digest(
        METRICS_VERSION, settings, config.anchor, source.fingerprint(entries), again.mark
    )
    if run.fresh("profile", inputs):
        return {**_skipped("profile"), "verified": again.count}
    run.discard(_from("profile"))
    samples, metrics, told = measure_images(config, run, source, entries, progress)
    run.write_table("samples", samples)
    run.write_table("metrics", metrics)
    run.write_json("profile.json", told)
    facts = {"samples": samples.height, "splits": told["splits"], "verified": again.count}
    return _done(run, "profile", inputs, **facts, changes=told.get("changes"))


def _profile_columns(
    config: Config, run: RunFolder, source: Any, progress: Progress | None
) -> Facts:
    from flows.app.table_intake import mark_content, measure_columns  # noqa: PLC0415 - numba

    settings = _settings_of_profile(config)
    named = [fact.uri for fact in source.files]
    content = mark_content(config, run, source)
    inputs = _digest(PROFILE_VERSION, settings, config.anchor, named, content)
    if run.fresh("profile", inputs):
        return _skipped("profile")
    run.discard(_from("profile"))
    told = measure_columns(config, run, source, progress or quiet)
    run.write_json("profile.json", told)
    counts = {"samples": told["samples"], "columns": len(told["columns"])}
    return _done(run, "profile", inputs, **counts, splits=told["splits"])


def check(config: Config, run: RunFolder, progress: Progress | None = None) -> Facts:
    """Judge the samples: findings.parquet, scores.parquet, drift.json, the gate's gate.json.

    Of a table also cells.parquet, a verdict on each flagged cell, and rows_to_mark.csv. The raw
    shards are written on the way, for the features and class scores that label and outlier checks
    read: features.parquet, and of a table, or where [labels] names them, probabilities.parquet.

    Raises:
        StoreError: the samples have not been profiled.
        GristmillError: a check, the contract or the gate's suite is wrong.
    """
    from flows.app.baseline import measure_drift  # noqa: PLC0415 - slow imports
    from flows.app.evidence import mark_evidence  # noqa: PLC0415
    from flows.app.judging import check_digests, judge, run_gate  # noqa: PLC0415 - slow imports
    from flows.app.review_store import mark_reviews  # noqa: PLC0415

    source = open_data(config)
    if source.modality == "table":
        from flows.app.table_intake import need_rows  # noqa: PLC0415 - numba is slow to import

        need_rows(config, run, source)
    settings = config.section_digest("source", "contract", "drift", "gate", "shards")
    rules = [
        config.training.image_size,
        config.training.leave_out,
        mark_evidence(config, source),
        _file(config, config.drift.baseline),
        _file(config, config.checks.labels),
        mark_reviews(config),
        _settings_of_label_runs(config),
        *check_digests(config, source.modality),
    ]
    inputs = _digest(settings, rules, *_made(run, "profile"))
    if run.fresh("check", inputs) and (held := _hold_raw(config, run, source)):
        return held
    from flows.app.dynamics import train_on_labels  # noqa: PLC0415 - torch is slow to import
    from flows.app.learning import learn_tables  # noqa: PLC0415
    from flows.app.packing import write_raw  # noqa: PLC0415
    from flows.app.wrong_cells import write_cells  # noqa: PLC0415

    run.discard(_from("check"))
    samples = run.read_table("samples")
    raw = write_raw(run.file("shards"), source, samples, _unreadable(run), config)
    trained = train_on_labels(config, run, raw, progress)
    known, told = learn_tables(config, run, source, raw, trained)
    for name, table in known.items():
        run.write_table(STORED.get(name, name), table)
    findings, scores, facts = judge(config, run, source, known)
    run.write_table("findings", findings)
    if source.modality == "table":
        write_cells(config, run, source, findings)
    run.write_table("scores", scores)
    run.write_json("checks.json", {"raw_manifest": raw.digest, "facts": facts, "evidence": told})
    drift = measure_drift(config, run, source)
    gate = run_gate(config, run, source, findings, drift)
    return _done(run, "check", inputs, findings=findings.height, gate=gate)


def _hold_raw(config: Config, run: RunFolder, source: Any) -> Facts | None:
    """Skip `check`, writing raw shards again that have gone; None where others would come of it."""
    from flows.app.held_shards import count_lost  # noqa: PLC0415

    store, told = run.file("shards"), run.read_json("checks.json")["raw_manifest"]
    lost = count_lost(store, told)
    if not lost:
        return _skipped("check")
    from flows.app.packing import write_raw  # noqa: PLC0415 - slow imports

    raw = write_raw(store, source, run.read_table("samples"), _unreadable(run), config)
    return {**_skipped("check"), "rewritten": lost} if raw.digest == told else None


def clean(config: Config, run: RunFolder, progress: Progress | None = None) -> Facts:
    """Decide by policy and write cleaned shards: decisions.parquet, repairs.parquet, shards/.

    CURRENT moves to the cleaned manifest only if the quality gate passed.

    Raises:
        StoreError: the samples have not been checked.
        UnknownNameError: [fill] or [policy] slices names a column that is not there.
        TrainingError: the shards cannot be written.
    """
    from flows.app.choosing import chosen_checks  # noqa: PLC0415
    from flows.app.deciding import decide_samples  # noqa: PLC0415
    from flows.app.filling import propose_fills  # noqa: PLC0415
    from flows.app.held_shards import count_lost, is_current  # noqa: PLC0415
    from flows.app.packing import write_cleaned  # noqa: PLC0415
    from flows.app.review_store import name_overrides  # noqa: PLC0415

    source = open_data(config)
    settings = config.section_digest("policy", "fill", "shards")
    people = _file(config, name_overrides(config))
    inputs = _digest(settings, people, *_made(run, "profile", "check"))
    store, moves, lost = run.file("shards"), gate_message(run) is None, 0
    if run.fresh("clean", inputs):
        held = run.read_json("clean.json")["cleaned_manifest"]
        lost = count_lost(store, held)
        if not lost:
            return _skipped("clean")
        moves &= is_current(store, held)  # the same is decided again: what came of it stands
    else:
        run.discard(_from("clean"))
    checks = chosen_checks(config, source.modality)
    tables = {name: run.read_table(name) for name in ("samples", "findings", "scores")}
    proposed = propose_fills(config, run, source, tables, checks)
    tables["findings"] = proposed.findings
    verdict = decide_samples(config, tables, checks, source, proposed.actions)
    tables |= {"decisions": verdict.decisions, "repairs": verdict.repairs}
    raw = str(run.read_json("checks.json")["raw_manifest"])
    cleaned = write_cleaned(
        store, source, tables, config, checks=checks, parent=raw,
        make_current=moves, filled=proposed,
    )  # fmt: skip
    run.write_table("decisions", verdict.decisions)
    run.write_table("repairs", verdict.repairs)
    facts = {"raw_manifest": raw, "cleaned_manifest": cleaned.digest, **verdict.facts}
    facts["fills"] = proposed.facts
    asked = {one.id: one.action for one in checks} | dict(proposed.actions)
    facts["acting"] = sorted(one for one, action in asked.items() if action not in PASSIVE)
    run.write_json("clean.json", facts)
    del progress
    outcomes = dict(verdict.decisions["outcome"].value_counts().sort("outcome").rows())
    return _done(run, "clean", inputs, manifest=cleaned.digest, outcomes=outcomes, rewritten=lost)


def compare(config: Config, run: RunFolder, progress: Progress | None = None) -> Facts:
    """Train on raw and on cleaned shards: curves.parquet, dynamics.parquet, experiment.json.

    Raises:
        StoreError: there are no cleaned shards.
        SourceError: there are no two classes to tell apart.
        TrainingError: the experiment cannot be run on this data.
    """
    from flows.app.learning import compare_arms  # noqa: PLC0415 - torch is slow to import
    from training.jobs import ENGINE  # noqa: PLC0415

    require_classes(config, run)
    settings = config.section_digest("training")
    truth = _file(config, config.truth.path)
    inputs = _digest(ENGINE, settings, config.training.device, truth, *_made(run, "clean"))
    if run.fresh("compare", inputs):
        return _skipped("compare")
    run.discard(_from("compare"))
    facts = run.read_json("clean.json")
    if not facts:
        raise SourceError(str(run.path), "there are no cleaned shards", advice="Clean first.")
    compare_arms(config, run, facts, progress)
    run.read_table("dynamics")  # guarded, as every table that crosses a boundary
    verdict = run.read_json("experiment.json").get("verdict")
    return _done(run, "compare", inputs, verdict=verdict)


def report(config: Config, run: RunFolder, progress: Progress | None = None) -> Facts:
    """Write report.json and report.html of whatever the run folder holds.

    Raises:
        StoreError: nothing has been profiled.
    """
    from flows.app.choosing import chosen_checks  # noqa: PLC0415
    from flows.report import build_report, write_report  # noqa: PLC0415 - draws charts

    beside = (run.digest_of(name) for name in BESIDE)
    made = [*_made(run, "profile", "check", "clean", "compare"), *beside]
    inputs = _digest(config.section_digest("report"), _file(config, config.truth.path), *made)
    if run.fresh("report", inputs):
        return _skipped("report")
    source = open_data(config)
    judged = run.has("findings.parquet")  # without findings nothing is told of checks
    checks = {c.id: c for c in chosen_checks(config, source.modality)} if judged else {}
    told = build_report(
        run.path,
        source=source,
        truth=read_truth(config),
        title=config.report.title,
        max_thumbnails=config.report.max_thumbnails,
        checks=checks,
    )
    write_report(run.path, told)
    del progress
    return _done(run, "report", inputs, report=str(run.file("report.html")))


STATIONS: Mapping[str, Station] = {
    "profile": counted("profile", profile),
    "check": counted("check", check),
    "clean": counted("clean", clean),
    "compare": compare,
    "report": report,
}


def plan_profile(config: Config, run: RunFolder, bundles_max: int) -> list[Any]:
    """Return the bundles that `profile` would still have to measure; at most `bundles_max`."""
    from flows.app.intake import plan_bundles_of  # noqa: PLC0415 - numba is slow to import

    return plan_bundles_of(config, run, bundles_max)


def require_classes(config: Config, run: RunFolder) -> None:
    """Refuse to train where there is nothing to tell apart.

    Raises:
        SourceError: fewer than two classes in train, or no labels.
    """
    where, classes = config.source.path, _classes(run)
    instead = "`gristmill clean` works without training."
    if classes.is_empty():
        advice = f"{advise_labels(run.read_json('profile.json').get('kind'))} {instead}"
        raise SourceError(where, "there are no labels to train on", advice=advice)
    if len(classes) == 1:
        told = f"there is only one class to train on ({classes[0]!r})"
        raise SourceError(where, told, advice=f"Two are needed. {instead}")


def _classes(run: RunFolder) -> pl.Series:
    """The classes in train; those of the whole table before its rows are listed."""
    if not run.has("samples.parquet"):
        told: Any = run.read_json("profile.json").get("classes") or {}
        return pl.Series(list(told), dtype=pl.String)
    train = run.read_table("samples").filter(pl.col("split") == "train")
    return train["label"].drop_nulls().unique()


def gate_message(run: RunFolder) -> str | None:
    """Return why the quality gate failed, None where it passed or has not run."""
    gate = run.read_json("gate.json")
    if gate.get("passed", True):
        return None
    results, faults = gate.get("results"), gate.get("engine_errors")
    told = [
        str(one["sentence"])
        for one in (results if isinstance(results, list) else [])
        if not one["passed"] and one["severity"] == "error"
    ]
    broken = faults if isinstance(faults, list) else []
    told += [f"{one['rule']} could not be judged: {one['message']}" for one in broken]
    return "; ".join(told) or "see gate.json"


def read_truth(config: Config) -> pl.DataFrame | None:
    """Return the known defects that [truth] names, None where it names none.

    Raises:
        SourceError: the file cannot be read.
    """
    if config.truth.path is None:
        return None
    path = config.locate(config.truth.path)
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as broken:
        raise SourceError(str(path), "cannot be read as truth", got=str(broken)) from broken


def _from(station: str) -> list[str]:
    """Return what `station` and the later ones write: reports too, which tell of all of them."""
    order = list(OUTPUTS)
    return [name for later in order[order.index(station) :] for name in OUTPUTS[later]]


def _made(run: RunFolder, *stations: str) -> list[str | None]:
    return [run.digest_of(name) for station in stations for name in OUTPUTS[station]]


def _settings_of_profile(config: Config) -> list[object]:
    return [
        config.section_digest("source", "split", "profile"),
        sorted(config.labels.rename.items()),
    ]


def _settings_of_label_runs(config: Config) -> list[object]:
    """What the networks that judge labels depend on; nothing where none is trained."""
    asked, own = config.labels, config.training
    if not (asked.training or asked.folds):
        return []
    settings = [own.steps, own.batch_size, own.optimiser, own.device, own.leave_out]
    return [asked.training, asked.folds, *settings]


def _digest(*parts: object) -> str:
    return digest([version("gristmill"), *parts])


def _file(config: Config, path: str | None) -> str | None:
    """Return the digest of a file that the configuration names, None where it names none."""
    return file_digest(config.locate(path)) if path and config.locate(path).is_file() else None


def _unreadable(run: RunFolder) -> set[str]:
    metrics = run.read_table("metrics")
    if "error_kind" not in metrics.columns:
        return set()
    return set(metrics.filter(pl.col("error_kind").is_not_null())["sample_id"])


def _skipped(station: str) -> Facts:
    return {"station": station, "skipped": True}


def _done(run: RunFolder, station: str, inputs: str, **facts: object) -> Facts:
    made = [name for name in OUTPUTS[station] if run.has(name)]
    run.stamp(station, inputs, made)
    return {"station": station, "skipped": False, **facts}
