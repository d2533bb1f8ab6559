"""Plants defects in the digits and writes them as a user's folder of images would look.

Every defect has its own, disjoint originals, so a sample carries one defect and the truth is exact.
Only train is made dirty; val and test stay as they came.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from data.digits import load_digits

VAL_COUNT, TEST_COUNT = 500, 1500
CONFUSABLE = {4: 9, 9: 4, 3: 5, 5: 3, 1: 7, 7: 1, 8: 3, 2: 7, 6: 0, 0: 6}
# kind of defect: how many in train, and the check meant to find it (alternatives by comma)
PLAN: dict[str, tuple[int, str]] = {
    "wrong_label_uniform": (180, "unlikely_label"),
    "wrong_label_confusable": (90, "unlikely_label"),
    "exact_duplicate": (60, "exact_duplicate"),
    "near_duplicate": (60, "near_duplicate"),
    "conflicting_copy": (20, "conflicting_labels"),
    "leak_exact": (40, "cross_split_leak"),
    "leak_near": (30, "cross_split_leak"),
    "blur": (50, "blurry"),
    "dark": (50, "too_dark,low_contrast"),
    "washed_out": (50, "low_contrast"),
    "truncated": (30, "unreadable"),
    "silent_damage": (30, "silently_damaged"),
    "wrong_extension": (40, "extension_mismatch"),
}
ADDED = ("exact_duplicate", "near_duplicate", "conflicting_copy", "leak_exact", "leak_near")


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One file to be written, and what is true about it."""

    uri: str
    content: bytes
    defect: str = ""
    true_label: str = ""
    related_uri: str = ""


def make_image_defects(out: Path, seed: int) -> pl.DataFrame:
    """Write `out`/<split>/<class>/<name> and return the truth, one row for each planted defect.

    Columns: uri, row, column, defect, check_id, true_label, related_uri.
    """
    files = list(_dirty_files(seed))
    for file in files:
        path = out / file.uri
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    rows = [
        (file.uri, 0, None, file.defect, PLAN[file.defect][1] if file.defect in PLAN else None,
         file.true_label, file.related_uri or None)
        for file in files
    ]  # fmt: skip
    columns = ("uri", "row", "column", "defect", "check_id", "true_label", "related_uri")
    table = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String) | {"row": pl.Int64},
                         orient="row")  # fmt: skip
    return table.sort("uri")


def _dirty_files(seed: int) -> Iterator[ImageFile]:
    images, labels = load_digits()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    test, val = order[:TEST_COUNT], order[TEST_COUNT : TEST_COUNT + VAL_COUNT]
    train = order[TEST_COUNT + VAL_COUNT :]
    for split, ids in (("val", val), ("test", test)):
        for i in ids:
            yield ImageFile(_uri(split, labels[i], i), encode_jpeg(images[i]), "", str(labels[i]))
    chosen = _draw(rng, train, test)
    spoiled = {i: kind for kind, ids in chosen.items() if kind not in ADDED for i in ids}
    for i in train:
        yield _spoil(spoiled.get(int(i), ""), images[i], int(labels[i]), int(i), rng)
    for kind in ADDED:
        for i in chosen[kind]:
            yield _add(kind, images[i], int(labels[i]), int(i), rng)


def _draw(
    rng: np.random.Generator, train: NDArray[np.int64], test: NDArray[np.int64]
) -> dict[str, list[int]]:
    pools = {"train": iter(rng.permutation(train)), "test": iter(rng.permutation(test))}
    return {
        kind: [int(next(pools["test" if kind.startswith("leak") else "train"])) for _ in range(n)]
        for kind, (n, _) in PLAN.items()
    }


def _spoil(
    kind: str, image: NDArray[np.uint8], label: int, i: int, rng: np.random.Generator
) -> ImageFile:
    given = label
    if kind == "wrong_label_uniform":
        given = int((label + rng.integers(1, 10)) % 10)
    elif kind == "wrong_label_confusable":
        given = CONFUSABLE[label]
    content = SPOILERS[kind](image, rng) if kind in SPOILERS else encode_jpeg(image)
    return ImageFile(_uri("train", given, i), content, kind, str(label))


def _add(
    kind: str, image: NDArray[np.uint8], label: int, i: int, rng: np.random.Generator
) -> ImageFile:
    near = kind in ("near_duplicate", "leak_near")
    content = encode_jpeg(_alter(image, rng), quality=60) if near else encode_jpeg(image)
    given = CONFUSABLE[label] if kind == "conflicting_copy" else label
    split = "test" if kind.startswith("leak") else "train"
    uri = _uri("train", given, i, suffix=f"_{kind}")
    return ImageFile(uri, content, kind, str(label), _uri(split, label, i))


def _uri(split: str, label: int | np.integer, i: int | np.integer, suffix: str = "") -> str:
    # a neutral hash-like name: no detector may read the defect off the file name
    name = (int(i) * 2_654_435_761 + sum(map(ord, suffix)) * 40_503) % 2**32
    return f"{split}/{label}/{name:08x}.jpg"


def encode_jpeg(image: NDArray[np.uint8], quality: int = 92) -> bytes:
    """Return a grey (H, W) uint8 image as the bytes of a JPEG file."""
    out = io.BytesIO()
    Image.fromarray(image).save(out, format="JPEG", quality=quality)
    return out.getvalue()


def _alter(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    gain = rng.uniform(0.9, 1.1)
    return np.clip(image.astype(np.float64) * gain, 0, 255).astype(np.uint8)


def _blur(image: NDArray[np.uint8], _: np.random.Generator) -> bytes:
    soft = Image.fromarray(image).filter(ImageFilter.GaussianBlur(2.0))
    return encode_jpeg(np.asarray(soft))


def _darken(image: NDArray[np.uint8], rng: np.random.Generator) -> bytes:
    return encode_jpeg((image * rng.uniform(0.08, 0.15)).astype(np.uint8))


def _wash_out(image: NDArray[np.uint8], rng: np.random.Generator) -> bytes:
    return encode_jpeg((image * rng.uniform(0.04, 0.08) + 200).astype(np.uint8))


def _truncate(image: NDArray[np.uint8], rng: np.random.Generator) -> bytes:
    content = encode_jpeg(image)
    start = content.rindex(b"\xff\xda")  # the scan; before it lie only tables
    return content[: start + int((len(content) - start) * rng.uniform(0.3, 0.7))]


def _damage(image: NDArray[np.uint8], rng: np.random.Generator) -> bytes:
    """Overwrite a stretch of the entropy-coded scan; the file keeps its length and end marker."""
    content = bytearray(encode_jpeg(image))
    first, last = content.rindex(b"\xff\xda") + 14, len(content) - 2
    at = int(first + (last - first) * rng.uniform(0.2, 0.5))
    length = (last - at) // 2
    content[at : at + length] = bytes(length)
    return bytes(content)


def _as_png(image: NDArray[np.uint8], _: np.random.Generator) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, format="PNG")
    return out.getvalue()


SPOILERS: dict[str, Callable[[NDArray[np.uint8], np.random.Generator], bytes]] = {
    "blur": _blur,
    "dark": _darken,
    "washed_out": _wash_out,
    "truncated": _truncate,
    "silent_damage": _damage,
    "wrong_extension": _as_png,
}
