"""Checkpoints: weights as safetensors, everything else as JSON beside them; never a pickle.

A folder holds `checkpoint.json` and the weights file it names (by the weights' own digest). The JSON is written last,
beside and renamed: a crash at any moment leaves the previous checkpoint whole, and a reader never meets a mixture.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch

from segments.errors import ContractBroken, Refused, UsageError
from segments.hashing import hash64
from spark_jobs.fields import FieldSchema
from spark_jobs.models.calibration import Calibration
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.ranker import Ranker
from spark_jobs.models.registry import build, model_settings
from spark_jobs.models.settings import ModelSettings

FORMAT = 1
SIDECAR = "checkpoint.json"


@dataclass(frozen=True)
class Checkpoint:
    """A network ready to score: its settings, fields, what the encoder has seen, and the calibration."""

    settings: ModelSettings
    encoder: Encoder
    model: Ranker
    calibration: Calibration = field(default_factory=Calibration)
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def schema(self) -> FieldSchema:
        return self.encoder.schema


def fingerprint(schema: FieldSchema) -> str:
    """The same for the same fields in the same order, 16 hexadecimal digits."""
    return f"{hash64(json.dumps(schema.model_dump(mode='json'), sort_keys=True)):016x}"


def differences(expected: FieldSchema, found: FieldSchema) -> list[str]:
    """What differs between two schemas, in words."""
    mine, theirs = ({f.name: f for f in schema.fields} for schema in (expected, found))
    words = [f"field {name} is missing" for name in mine if name not in theirs]
    words += [f"field {name} is not in the recipe" for name in theirs if name not in mine]
    for name in mine.keys() & theirs.keys():
        for key, value in mine[name].model_dump().items():
            other = getattr(theirs[name], key)
            if other != value:
                words.append(f"field {name} has {key} {other}, not {value}")
    if not words and [*mine] != [*theirs]:
        words.append("the fields stand in another order")
    return sorted(words)


def to_parts(checkpoint: Checkpoint) -> tuple[str, bytes]:
    """(sidecar JSON, weights): two plain values that can be written or broadcast."""
    encoder = checkpoint.encoder
    tensors = {f"network.{name}": value.detach().contiguous() for name, value in checkpoint.model.state_dict().items()}
    tensors["encoder.seen"] = torch.from_numpy(np.packbits(encoder.seen))
    tensors["encoder.knots"] = torch.from_numpy(np.ascontiguousarray(encoder.knots))
    weights = safetensors.torch.save(tensors)
    sidecar = {
        "format": FORMAT,
        "model": checkpoint.settings.model_dump(mode="json"),
        "schema": encoder.schema.model_dump(mode="json"),
        "fingerprint": fingerprint(encoder.schema),
        "calibration": checkpoint.calibration.to_dict(),
        "weights": f"weights-{blake2b(weights, digest_size=8).hexdigest()}.safetensors",
        "notes": checkpoint.notes,
    }
    return json.dumps(sidecar, indent=1, default=str), weights


def from_parts(
    sidecar: str, weights: bytes, *, schema: FieldSchema | None = None, where: str | None = None
) -> Checkpoint:
    """What `to_parts` gave, as a checkpoint in evaluation mode.

    Args:
        sidecar: the JSON.
        weights: the safetensors bytes.
        schema: the fields the caller will score with; None accepts the checkpoint's own.
        where: named in errors.

    Raises:
        ContractBroken: not a checkpoint, damaged, or of another schema (the difference is named).
    """
    try:
        values = json.loads(sidecar)
        kind, fields, expected = values["model"], values["schema"], values["weights"]
    except (ValueError, KeyError, TypeError) as error:
        raise ContractBroken("the checkpoint's sidecar cannot be read", where=where, hint="train again") from error
    if expected != f"weights-{blake2b(weights, digest_size=8).hexdigest()}.safetensors":
        raise ContractBroken("the checkpoint's weights are damaged or of another checkpoint", where=where)
    try:
        found, settings = FieldSchema.of(fields), model_settings(kind)
    except UsageError as error:
        raise ContractBroken(f"the checkpoint cannot be used: {error}", where=where, hint="train again") from error
    if schema is not None and fingerprint(schema) != fingerprint(found):
        raise ContractBroken(
            f"the checkpoint is of another schema: {'; '.join(differences(schema, found))}",
            where=where,
            hint="train again with this recipe, or score with the recipe it was trained with",
        )
    encoder = Encoder(found)
    model = build(settings, encoder, seed=0)
    try:
        tensors = safetensors.torch.load(weights)
        bits = np.unpackbits(tensors["encoder.seen"].numpy(), count=encoder.layout.table_rows)
        encoder.seen = bits.astype(np.bool_)
        encoder.knots = tensors["encoder.knots"].numpy()
        prefix = "network."
        model.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    except (safetensors.SafetensorError, KeyError, RuntimeError) as error:
        raise ContractBroken("the checkpoint's weights do not fit its settings", where=where) from error
    model.eval()
    return Checkpoint(settings, encoder, model, Calibration.of(values["calibration"]), dict(values["notes"]))


def save(checkpoint: Checkpoint, folder: Path) -> Path:
    """Writes a checkpoint into a folder, replacing the one there only when the new one is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    sidecar, weights = to_parts(checkpoint)
    named = folder / json.loads(sidecar)["weights"]
    _write(named, weights)
    _write(folder / SIDECAR, sidecar.encode())
    for old in folder.glob("weights-*.safetensors"):
        if old != named:
            old.unlink(missing_ok=True)
    return folder / SIDECAR


def read_parts(folder: Path) -> tuple[str, bytes]:
    """The two parts of a folder's checkpoint.

    Raises:
        Refused: there is none.
        ContractBroken: the weights it names are missing.
    """
    try:
        sidecar = (folder / SIDECAR).read_text(encoding="utf-8")
    except OSError as error:
        raise Refused("no checkpoint here", where=str(folder), hint="run the train step first") from error
    try:
        named = Path(str(json.loads(sidecar)["weights"])).name
        return sidecar, (folder / named).read_bytes()
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ContractBroken("the checkpoint is not whole", where=str(folder), hint="train again") from error


def load(folder: Path, *, schema: FieldSchema | None = None) -> Checkpoint:
    """The checkpoint of a folder; raises as `read_parts` and `from_parts` do."""
    sidecar, weights = read_parts(folder)
    return from_parts(sidecar, weights, schema=schema, where=str(folder))


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
