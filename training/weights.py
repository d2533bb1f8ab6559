"""Weights of a network as a file of plain tensors, to start another network from.

Read are .npz and .safetensors (https://huggingface.co/docs/safetensors): names, shapes and numbers.
Nothing that could hold code is opened.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.checkpoint import DAMAGED
from training.errors import TrainingError
from training.shards.store import write_atomic

KINDS = (".npz", ".safetensors")
HEAD = "head."
_HEADER_MOST = 100_000_000  # bytes, the limit of the format's own reader
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16,
           "BF16": torch.bfloat16}  # fmt: skip
_ABROAD: tuple[
    tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...
] = (  # torchvision's and timm's names of a ResNet-18, and ours
    (re.compile(r"^(module|model)\."), ""),
    (re.compile(r"^conv1\."), "stem."),
    (re.compile(r"^bn1\."), "norm."),
    (re.compile(r"^layer(\d)\.(\d)\."), lambda m: f"blocks.{2 * int(m[1]) - 2 + int(m[2])}."),
    (re.compile(r"(?<=\d)\.conv1\."), ".first."),
    (re.compile(r"(?<=\d)\.conv2\."), ".second."),
    (re.compile(r"(?<=\d)\.bn([12])\."), lambda m: f".norms.{int(m[1]) - 1}."),
    (re.compile(r"\.downsample\."), ".shortcut."),
)


def digest_file(path: Path) -> str:
    """Return what names a file of weights: 32 hex digits of its content's SHA-256.

    Raises:
        TrainingError: if it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    except OSError as error:
        raise TrainingError("weights", "cannot be read", got=path.name) from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the floating tensors of a .npz or .safetensors file, as float32, by name.

    Names of torchvision's ResNet-18 become ours.

    Raises:
        TrainingError: if the file is of another kind, absent, damaged, or holds no such tensor.
    """
    if path.suffix not in KINDS:
        raise TrainingError(
            "weights", "cannot be read without running code from it", got=path.name,
            allowed=f"Kinds: {', '.join(KINDS)}.", advice="Save its tensors as one of these.",
        )  # fmt: skip
    try:
        content = path.read_bytes()
        told = _read_arrays(content) if path.suffix == ".npz" else _read_safe(content)
    except DAMAGED as error:
        raise TrainingError("weights", "cannot be read", got=path.name) from error
    if not told:
        raise TrainingError("weights", "no floating tensor in this file", got=path.name)
    return {_name(name): tensor.float() for name, tensor in told.items()}


def _read_arrays(content: bytes) -> dict[str, Tensor]:
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    kept = {name: array for name, array in arrays.items() if array.dtype.kind == "f"}
    return {name: torch.from_numpy(array.astype(np.float32)) for name, array in kept.items()}


def _read_safe(content: bytes) -> dict[str, Tensor]:
    """Eight bytes of length, a header of JSON, then the tensors' bytes, little-endian.

    Raises:
        ValueError: if the file does not hold what its header says.
    """
    (size,) = struct.unpack("<Q", content[:8])
    if size > min(_HEADER_MOST, len(content)):
        raise ValueError(size)
    header = dict(json.loads(content[8 : 8 + size]))
    body, told = memoryview(content)[8 + size :], {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in _DTYPES:
            continue
        begin, end = entry["data_offsets"]
        if not 0 <= begin < end <= len(body):
            raise ValueError(name)
        flat = torch.frombuffer(bytearray(body[begin:end]), dtype=_DTYPES[entry["dtype"]])
        told[name] = flat.reshape(entry["shape"])
    return told


def _name(name: str) -> str:
    for found, ours in _ABROAD:
        name = found.sub(ours, name)
    return name


def place_of(folder: Path, digest: str) -> Path:
    """Return where a run's folder keeps the weights that a recipe's `start` names."""
    return folder / f"weights-{digest}.npz"


def write_weights(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write plain tensors in one stroke."""
    buffer = io.BytesIO()
    np.savez(buffer, **{name: tensor.cpu().numpy() for name, tensor in tensors.items()})  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())


def read_start(folder: Path, digest: str) -> dict[str, Tensor] | None:
    """Return the weights that a recipe starts from; None where it names none.

    Raises:
        TrainingError: if they are not in this folder.
    """
    return read_weights(place_of(folder, digest)) if digest else None


def fitting(net: nn.Module, tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the network's tensors that `tensors` has in the same shape.

    The head is left out: its classes are others.
    """
    return [
        name
        for name, own in body(net).items()
        if name in tensors and tensors[name].shape == own.shape
    ]


def body(net: nn.Module) -> dict[str, Tensor]:
    """Return the floating tensors of a network but for its head, by name."""
    return {
        name: own
        for name, own in net.state_dict().items()
        if own.is_floating_point() and not name.startswith(HEAD)
    }


@torch.no_grad()
def take_over(net: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Write over the network's weights where names and shapes fit; the head stays as it was."""
    own = body(net)
    for name in fitting(net, tensors):
        own[name].copy_(tensors[name])
