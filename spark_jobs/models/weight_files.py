"""Tensors and what belongs to them, on disk, whole or not at all: safetensors beside JSON, never a pickle.

A folder holds a JSON file and the tensor files it names by their own digests. The JSON is written last, beside and
renamed: a crash at any moment (kill -9 too) leaves the previous pair whole, and no reader meets a mixture.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from segments.errors import ContractBroken
from segments.whole import whole


def named(stem: str, content: bytes) -> str:
    """File name of tensors, by their digest."""
    return f"{stem}-{blake2b(content, digest_size=8).hexdigest()}.safetensors"


def packed(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as safetensors bytes."""
    return safetensors.torch.save({name: value.detach().cpu().contiguous() for name, value in tensors.items()})


def unpacked(content: bytes, *, where: str | None = None) -> dict[str, Tensor]:
    """What `packed` gave.

    Raises:
        ContractBroken: damaged.
    """
    try:
        return safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise ContractBroken("the weights are damaged", where=where, hint="train again") from error


def put(
    folder: Path, sidecar: str, values: Mapping[str, Any], files: Mapping[str, bytes], *, sweep: Sequence[str]
) -> None:
    """Writes tensor files, then the JSON that names them, then sweeps what it names no longer.

    Args:
        folder: made if missing.
        sidecar: name of the JSON file.
        values: the JSON; it must hold each file's name (see `named`) itself.
        files: contents by name.
        sweep: stems of the files that only this JSON names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if not (folder / name).exists():  # named by its digest and renamed when whole: the same already
            write_durably(folder / name, content)
    write_durably(folder / sidecar, json.dumps(values, indent=1, default=str).encode())
    for old in [path for stem in sweep for path in folder.glob(f"{stem}-*.safetensors*")]:
        if old.name not in files:
            old.unlink(missing_ok=True)


def take(folder: Path, name: str, *, stem: str) -> bytes:
    """The content of a tensor file that a JSON names.

    Raises:
        ContractBroken: it is missing, or not what was written.
    """
    try:
        content = (folder / Path(name).name).read_bytes()
    except OSError as error:
        raise ContractBroken("the checkpoint is not whole", where=str(folder), hint="train again") from error
    if named(stem, content) != name:
        raise ContractBroken(f"the checkpoint's {stem} are damaged or of another checkpoint", where=str(folder))
    return content


def write_durably(path: Path, content: bytes) -> None:
    """Replaces a file only when the new one is whole and on the disk."""
    with whole(path) as fresh, fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
