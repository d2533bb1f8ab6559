"""Other formats on the same JPEG files: `python rival_loaders.py write|read TOOL FOLDER`.

Run by their own Python. FOLDER holds images.parquet (image, label); each tool writes into a folder
of its name there. `read` prints the CPU microseconds a sample of a shuffled pass, the data set
open. Image bytes are handed out as each tool hands them out, and not looked at.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

BATCH, PASSES = 128, 5


def samples(folder: Path) -> Iterator[tuple[bytes, int]]:
    """The images and class numbers."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = pq.read_table(folder / "images.parquet")
    for image, label in zip(table["image"], table["label"], strict=True):
        yield image.as_py(), label.as_py()


def describe(item: tuple[bytes, int]) -> dict[str, Any]:
    """A sample as LitData stores it."""
    return {"image": item[0], "label": item[1]}


def write_litdata(folder: Path, out: Path) -> None:
    """LitData's own format."""
    import litdata  # noqa: PLC0415

    litdata.optimize(describe, list(samples(folder)), str(out), chunk_bytes="64MB", num_workers=1,
                     verbose=False)  # fmt: skip


def read_litdata(out: Path) -> tuple[int, Callable[[], int]]:
    """A shuffled pass of its streaming data set."""
    import litdata  # noqa: PLC0415

    opened = litdata.StreamingDataset(str(out), shuffle=True)
    return len(opened), lambda: sum(1 for _ in opened)


def write_arrow(folder: Path, out: Path) -> None:
    """Hugging Face `datasets` with an Image column, saved to disk."""
    import datasets  # noqa: PLC0415

    features = datasets.Features(
        {"image": datasets.Image(decode=False), "label": datasets.Value("int64")}
    )
    images, labels = zip(*samples(folder), strict=True)
    images = [{"bytes": data, "path": None} for data in images]
    made = datasets.Dataset.from_dict({"image": images, "label": list(labels)}, features)
    made.save_to_disk(str(out))


def read_arrow(out: Path) -> tuple[int, Callable[[], int]]:
    """ds[i] in a random order."""
    import datasets  # noqa: PLC0415

    opened = datasets.load_from_disk(str(out))
    order = shuffled(len(opened))
    return len(order), lambda: sum(1 for row in order if opened[row]["image"]["bytes"])


def write_lance(folder: Path, out: Path) -> None:
    """Lance with default settings."""
    import lance  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    lance.write_dataset(pq.read_table(folder / "images.parquet"), str(out))


def read_lance(out: Path) -> tuple[int, Callable[[], int]]:
    """Take of 128 random rows at a time."""
    import lance  # noqa: PLC0415

    opened = lance.dataset(str(out))
    order = shuffled(opened.count_rows())

    def run() -> int:
        done = 0
        for start in range(0, len(order), BATCH):
            done += len(opened.take(order[start : start + BATCH]).column("image").to_pylist())
        return done

    return len(order), run


def write_mds(folder: Path, out: Path) -> None:
    """MosaicML Streaming's format."""
    import streaming  # noqa: PLC0415

    with streaming.MDSWriter(out=str(out), columns={"image": "bytes", "label": "int"}) as writer:
        for image, label in samples(folder):
            writer.write({"image": image, "label": label})


def read_mds(out: Path) -> tuple[int, Callable[[], int]]:
    """ds[i] in a random order."""
    import streaming  # noqa: PLC0415

    opened = streaming.LocalDataset(str(out))
    order = shuffled(len(opened))
    return len(order), lambda: sum(1 for row in order if opened[row]["image"])


def write_webdataset(folder: Path, out: Path) -> None:
    """Tar files."""
    import webdataset  # noqa: PLC0415

    out.mkdir()
    with webdataset.ShardWriter(str(out / "%06d.tar"), maxsize=64_000_000, verbose=0) as writer:
        for number, (image, label) in enumerate(samples(folder)):
            writer.write({"__key__": f"{number:08}", "jpg": image, "cls": label})


def read_webdataset(out: Path) -> tuple[int, Callable[[], int]]:
    """A pass through a buffer of 1,000."""
    import webdataset  # noqa: PLC0415

    paths = sorted(map(str, out.glob("*.tar")))
    opened = webdataset.WebDataset(paths, shardshuffle=len(paths), seed=1).shuffle(1000)
    return sum(1 for _ in opened), lambda: sum(1 for _ in opened)


def write_files(folder: Path, out: Path) -> None:
    """Loose files in a folder for each class."""
    for number, (image, label) in enumerate(samples(folder)):
        path = out / str(label) / f"{number:08}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)


def read_files(out: Path) -> tuple[int, Callable[[], int]]:
    """Opened and read in a random order."""
    paths = [str(path) for path in sorted(out.rglob("*.jpg"))]
    random.Random(1).shuffle(paths)  # noqa: S311 - an order, not a secret

    def run() -> int:
        return sum(1 for path in paths if Path(path).read_bytes())

    return len(paths), run


def shuffled(rows: int) -> list[int]:
    """A random order."""
    order = list(range(rows))
    random.Random(1).shuffle(order)  # noqa: S311 - an order, not a secret
    return order


def cpu_s() -> float:
    """CPU seconds of this process and its children, all threads."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def time_passes(run: Callable[[], int], rows: int) -> dict[str, float]:
    """CPU microseconds a sample: the median of the passes, and the first."""
    took = []
    for _ in range(PASSES):
        before = cpu_s()
        assert run() == rows
        took.append((cpu_s() - before) / rows * 1e6)
    return {"us": median(took), "first_us": took[0]}


TOOLS: dict[str, tuple[Callable[[Path, Path], None], Callable[..., Any]]] = {
    "litdata": (write_litdata, read_litdata),
    "arrow": (write_arrow, read_arrow),
    "lance": (write_lance, read_lance),
    "mds": (write_mds, read_mds),
    "webdataset": (write_webdataset, read_webdataset),
    "files": (write_files, read_files),
}


def main(verb: str, tool: str, folder: Path) -> None:
    """Write, or read and print what it cost."""
    write, read = TOOLS[tool]
    out = folder / tool
    if verb == "write":
        write(folder, out)
        return
    rows, run = read(out)
    print(json.dumps(time_passes(run, rows)))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
