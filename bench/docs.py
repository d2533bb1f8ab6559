"""Writes what could be forgotten: the catalogue of checks, the configuration, README's figures.

`python -m bench.docs` writes; a test compares what it would write with what is there.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bench.all import BENCHMARKS, ONCE
from bench.record import RESULTS, ROOT
from checks.core.check import Check, load_checks

BLOCK = r"(<!-- {0}:begin -->\n).*?(<!-- {0}:end -->)"
Chosen = tuple[tuple[str, str, str], ...]  # benchmark, its name of the figure, words for a reader
RANGES = (  # their intervals are the least and the greatest of few draws or timings
    "cells", "contracts", "images", "label_amount", "label_ranking", "label_values", "tables",
    "workers",
)  # fmt: skip
README_FIGURES = ("verdicts", "demos")
IMAGE_FIGURES: Chosen = (
    ("images", "photos_400x533_cleanvision_by_ours",
     "photos of 400 x 533 px: CPU time of cleanvision over ours, all checks and copies"),
    ("images", "mosaics_1_to_4_mp_cleanvision_by_ours", "JPEGs of 1.9 and 3.4 MP: the same"),
    ("images", "png_32x32_cleanvision_by_ours", "PNGs of 32 x 32 px: the same"),
    ("images", "photos_400x533_ours_by_pillow",
     "photos of 400 x 533 px: ours over a bare decode with Pillow"),
    ("images", "mosaics_1_to_4_mp_ours_by_pillow", "JPEGs of 1.9 and 3.4 MP: the same"),
    ("workers", "wall-clock, 1 worker / 2 workers", "two workers on two cores against one"),
    ("incremental", "jpeg_second_of_first_frac",
     "second run over 20,000 unchanged JPEGs: share of the first one's CPU time"),
    ("damage", "JPEG: damage flagged", "damaged JPEGs flagged"),
    ("damage", "JPEG: false alarms", "intact and junk-tailed JPEGs called damaged"),
    ("damage", "mutated: crashes of a worker", "mutated files of 8 formats: crashes"),
    ("damage", "mutated: files without an answer", "mutated files of 8 formats: without an answer"),
    ("blur", "sigma_2_px: detail_ratio, recall at 5 % false positives",
     "blur of 2 px against sharp, bokeh and low-key photos: recall at 5 % false positives"),
    ("blur", "motion_9_px: directional detail ratios, AUC", "motion blur of 9 px, same: AUC"),
    ("copies", "jpeg_q30_recall", "copies at JPEG quality 30: recall"),
    ("copies", "flip_recall", "mirrored copies: recall"),
    ("copies", "rot90_recall", "turned copies: recall"),
    ("copies", "crop_1_percent_recall", "copies cropped by 1 %: recall"),
    ("copies", "pair_precision", "pairs of copies: precision"),
    ("copies", "pairs_among_900_different_photos", "pairs found among 900 different photos"),
    ("twins", "features_precision_unjudged_wrong",
     "CIFAR-10 twins, by features: precision, every pair that nobody judged counted as wrong"),
    ("twins", "features_precision_looked_at",
     "CIFAR-10 twins, by features: precision, the same pairs judged by eye"),
    ("twins", "features_recall", "CIFAR-10 twins, by features: recall of the judged pairs"),
    ("twins", "hashes_recall", "CIFAR-10 twins, by hashes alone: recall"),
    ("hashes", "million_d6_cpu_s", "all pairs within 6 bits of 1,000,000 hashes: CPU time"),
    ("hashes", "ten_million_d3_file_peak_gib", "all pairs within 3 bits of 10,000,000: memory"),
    ("drift", "runs without drift called drifted", "runs without drift called drifted"),
)  # fmt: skip


TABLE_FIGURES: Chosen = (
    ("tables", "profile, 5M x 25", "profile of 5M rows x 25 columns: CPU time of the process"),
    ("tables", "peak, 5M x 25", "the same: memory"),
    ("tables", "peak, 5M over 1M", "the same: memory of 5M rows over 1M"),
    ("tables", "DuckDB SUMMARIZE / ours, 5M", "the same: CPU time of DuckDB's SUMMARIZE over ours"),
    ("tables", "statistics", "statistics of those 25 columns"),
    ("tables", "worst error of a quantile, 1M", "worst error of a quantile, relative"),
    ("tables", "skrub TableReport / ours, 100k",
     "report of 100,000 rows: CPU time of skrub's TableReport over `gristmill profile`"),
    ("tables", "ydata minimal / ours, 100k", "the same: ydata-profiling, minimal"),
    ("tables", "one file added to 40 / that file alone",
     "one file added to 40: CPU time over that file alone"),
    ("huge", "200M rows: peak", "200M rows x 25 columns in a limit of 4 GiB: memory"),
    ("huge", "200M rows: CPU", "the same: CPU time"),
    ("contracts", "34 rules, 1M rows", "contract of 34 rules on 1M rows, rows named: CPU time"),
    ("contracts", "scans", "the same: scans"),
    ("contracts", "GX COMPLETE / ours", "the same: CPU time of Great Expectations over ours"),
    ("contracts", "gate step, 400 batches",
     "quality gate over 400 batches, after import: CPU time"),
    ("suggest", "false alarms, (rule, batch)", "suggested rules: broken by clean batches"),
    ("suggest", "planted 1 % caught, (kind, table)",
     "suggested rules: planted errors of 12 kinds at 1 % caught"),
    ("cells", "beers_f1", "wrong cells of beers, without labels: F1"),
    ("cells", "beers_f1_20_rows", "the same with 20 marked rows"),
    ("cells", "hospital_f1", "wrong cells of hospital, without labels: F1"),
    ("cells", "hospital_f1_20_rows", "the same with 20 marked rows"),
    ("cells", "beers_clean_rate", "cells flagged in clean beers"),
    ("cells", "hospital_clean_rate", "cells flagged in clean hospital"),
    ("cells", "made_clean_rate", "cells flagged in clean made tables"),
    ("cells", "held_out_f1", "wrong cells of made tables that no weight was fitted on: F1"),
    ("cells", "adult_kinds_from_0.8", "of 8 kinds planted in adult, those with F1 from .8"),
    ("leaks", "planted_leaks_found", "planted leaks of tables found"),
)  # fmt: skip


LABEL_FIGURES: Chosen = (
    ("label_ranking", "random_label1_ap",
     "order, 17 % wrong by one annotator: average precision"),
    ("label_ranking", "random_label1_ap_cleanlab_self_confidence",
     "the same: cleanlab, on the chances that we make"),
    ("label_ranking", "worse_label_ap", "order, 40 % wrong: average precision"),
    ("label_ranking", "worse_label_ap_cleanlab_self_confidence", "the same: cleanlab"),
    ("label_ranking", "aggre_label_ap", "order, 9 % wrong by three annotators: average precision"),
    ("label_ranking", "aggre_label_ap_cleanlab_self_confidence", "the same: cleanlab"),
    ("label_ranking", "symmetric_20_ap", "order, 20 % moved to any class: average precision"),
    ("label_ranking", "look_alikes_40_ap",
     "order, 40 % of five classes moved to their look-alikes: average precision"),
    ("label_amount", "aggre_precision", "wrong labels among the flagged, 9 % wrong"),
    ("label_amount", "random1_precision", "the same, 17 % wrong"),
    ("label_amount", "random1_recall", "the same: share of the wrong labels that is flagged"),
    ("label_amount", "random1_cleanlab_precision", "the same: precision of cleanlab's filter"),
    ("label_amount", "worse_precision", "wrong labels among the flagged, 40 % wrong"),
    ("label_amount", "clean_flagged_frac", "flagged where every label is right"),
    ("label_amount", "clean_cleanlab_flagged_frac", "the same: cleanlab's filter"),
    ("label_amount", "aggre_precision_gap", "estimated precision against the true one, 9 % wrong"),
    ("label_amount", "random1_precision_gap", "the same, 17 % wrong"),
    ("label_amount", "worse_precision_gap", "the same, 40 % wrong"),
    ("label_amount", "worse_count_error", "count of wrong labels, share of all: error, 40 % wrong"),
    ("label_amount", "worse_reviewed_count_error", "the same after 100 verdicts of a person"),
    ("label_ranking", "features_and_scores_cpu", "features and scores of 10,000 images: CPU time"),
    ("label_ranking", "rescore_cpu", "scores after a change of labels: CPU time"),
    ("label_tables", "adult uniform check over self_confidence",
     "adult, 15 % flipped at random: average precision over cleanlab's, same trees"),
    ("label_tables", "adult by_features check over self_confidence",
     "adult, 15 % flipped by the features: the same"),
    ("label_cleaning", "mlp_noise17_default_recovered",
     "17 % wrong, perceptron: share of the gain of dropping exactly the wrong labels"),
    ("label_cleaning", "mlp_noise40_default_recovered", "40 % wrong, perceptron: the same"),
    ("label_cleaning", "mlp_noise40_all_flagged_recovered", "the same, without any cap"),
    ("label_cleaning", "mlp_noise40_oracle_capped_recovered",
     "the same, a tenth of the set drawn among the wrong labels: what the cap allows"),
    ("label_cleaning", "conv_noise17_default_recovered", "17 % wrong, small conv net: the same"),
    ("label_cleaning", "conv_noise40_default_recovered", "40 % wrong, small conv net: the same"),
    ("label_cleaning", "mlp_clean_default_gain", "accuracy by cleaning where every label is right"),
    ("label_cleaning", "mlp_noise40_default_worst_class_change",
     "accuracy of the worst class after cleaning, 40 % wrong"),
)  # fmt: skip


def write_pages() -> dict[Path, str]:
    """Return every generated page by its path; nothing is written here."""
    readme = ROOT / "README.md"
    filled = _fill(readme.read_text(), "figures", _figures(_all_of(*README_FIGURES)))
    filled = _fill(filled, "images", _figures(IMAGE_FIGURES))
    filled = _fill(filled, "tables", _figures(TABLE_FIGURES))
    filled = _fill(filled, "labels", _figures(LABEL_FIGURES))
    return {
        ROOT / "docs" / "checks.md": "\n".join(_catalogue()) + "\n",
        ROOT / "docs" / "config.md": "\n".join(_configuration()) + "\n",
        ROOT / "docs" / "contracts.md": "\n".join(_contracts()) + "\n",
        ROOT / "docs" / "figures.md": "\n".join(_all_figures()) + "\n",
        readme: filled,
    }


def _fill(text: str, block: str, lines: Iterator[str]) -> str:
    told = "\n".join(lines) + "\n"
    return re.sub(BLOCK.format(block), lambda m: m[1] + told + m[2], text, flags=re.DOTALL)


def _catalogue() -> Iterator[str]:
    checks = [c for c in load_checks().values() if c.function.__module__.startswith("checks.")]
    yield "# Checks\n\nGenerated by `make docs`. `gristmill explain CHECK` prints one.\n"
    yield "| check | looks at | finds | severity | default action |\n|---|---|---|---|---|"
    for check in checks:
        looks = f"{check.modality} {check.kind}"
        yield (
            f"| [{check.id}](#{check.id}) | {looks} | {check.dimension} "
            f"| {check.severity} | {check.action} |"
        )
    for check in checks:
        yield from _check_page(check)


def _check_page(check: Check) -> Iterator[str]:
    yield f"\n## {check.id}\n\n{check.doc}\n"
    if check.params:
        yield "| parameter | default |\n|---|---|"
        yield from (f"| `{name}` | `{default!r}` |" for name, default in check.params.items())


def _configuration() -> Iterator[str]:
    from flows.app.config import Config  # noqa: PLC0415 - only this page needs it

    yield "# gristmill.toml\n\nGenerated by `make docs`. `gristmill init SRC` writes a first one.\n"
    for name, field in Config.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            told = (section.__doc__ or "").split(": ", 1)[-1]
            yield f"\n## [{name}]\n\n{told[:1].upper()}{told[1:]}\n"
            yield "| key | default | meaning |\n|---|---|---|"
            yield from (_key(key, part) for key, part in section.model_fields.items())


def _contracts() -> Iterator[str]:
    from checks.suites.contract_file import load_contract  # noqa: PLC0415 - pandas is slow

    told = inspect.getdoc(load_contract) or ""
    yield "# Contracts\n\nGenerated by `make docs`. `gristmill suggest SRC` writes a first one.\n"
    yield told.partition("\n\n")[2].partition("\nRaises:")[0].rstrip()


def _key(key: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"`{json.dumps(field.default, default=list)}`"
    return f"| `{key}` | {default} | {field.description} |"


def _all_figures() -> Iterator[str]:
    yield "# Figures\n\nGenerated by `make docs` from what `make bench` measured."
    for name in (*BENCHMARKS, *ONCE):
        yield f"\n## {name}\n"
        yield from _figures(_all_of(name))


def _all_of(*benches: str) -> Chosen:
    return tuple((name, key, key) for name in benches for key in _read(name)["figures"])


def _figures(chosen: Chosen) -> Iterator[str]:
    """Yield a table of the chosen figures, and where they were measured."""
    yield "| figure | value | 95 % interval | n | target |\n|---|---|---|---|---|"
    told = {name: _read(name) for name, _, _ in chosen}
    for name, key, words in chosen:
        yield _figure(words, told[name]["figures"][key], "range " if name in RANGES else "")
    yield from _origins(list(told.values()))


def _read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return document


def _origins(told: list[dict[str, Any]]) -> Iterator[str]:
    """Yield one line for each machine and set of versions, with the commands."""
    places: dict[str, list[str]] = {}
    for one in told:
        versions = ", ".join(f"{name} {number}" for name, number in one["versions"].items())
        place = f"Measured on {one['machine']}; {versions}."
        places.setdefault(place, []).append(f"`{one['command']}`")
    for place, commands in places.items():
        yield f"\n{place} Commands: {', '.join(commands)}."


def _figure(label: str, figure: dict[str, Any], kind: str) -> str:
    unit = f" {figure['unit']}" if figure.get("unit") else ""
    low, high = figure.get("interval") or ("", "")
    interval = f"{kind}{low:.3g} to {high:.3g}" if low != "" else ""
    value = f"{figure['value']:.3g}{unit}"
    return f"| {label} | {value} | {interval} | {figure['n']:,} | {_target(figure)} |"


def _target(figure: dict[str, Any]) -> str:
    value, target = figure["value"], figure["target"]
    if target is None:
        return ""
    higher = figure["better"] == "higher"
    met = value >= target if higher else value <= target
    return f"{'&ge;' if higher else '&le;'} {target:g}{'' if met else ', **missed**'}"


def main() -> None:
    """Write every page."""
    for path, text in write_pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
