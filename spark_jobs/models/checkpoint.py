"""Checkpoints: weights as safetensors, everything else as JSON beside them; never a pickle.

A folder holds `checkpoint.json`, the weights file it names, and, for a later training to go on from, a file with the
optimiser's state. Scoring reads the first two alone. Of the embedding table the file holds the rows that training met:
values are several times fewer than rows, and nothing ever reads the others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segments.errors import ContractBroken, Refused, UsageError
from segments.hashing import hash64
from spark_jobs.fields import FieldSchema
from spark_jobs.models.calibration import Calibration
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.int8_rows import holds_bytes, shrunken
from spark_jobs.models.ranker import Ranker
from spark_jobs.models.registry import build, model_settings
from spark_jobs.models.settings import ModelSettings
from spark_jobs.models.weight_files import named, packed, put, take, unpacked

FORMAT = 2  # 1 held a line for every row of the table, met in training or not
SIDECAR = "checkpoint.json"
WEIGHTS = "weights"
OPTIMISER = "optimiser"
BY_ROW = frozenset({"table", "codes", "scales", "coded"})  # tensors with a line for each row of the embedding table


@dataclass(frozen=True)
class Checkpoint:
    """A network ready to score: its settings, fields, what the encoder has seen, and the calibration.

    `state` is what `continue_training` goes on from (see `Fitted.state`); empty where it was not saved or not read.
    """

    settings: ModelSettings
    encoder: Encoder
    model: Ranker
    calibration: Calibration = field(default_factory=Calibration)
    notes: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Tensor] = field(default_factory=dict)

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
    met = torch.from_numpy(np.flatnonzero(encoder.seen))
    state = checkpoint.model.state_dict()
    tensors = {f"network.{name}": value[met] if _by_row(name) else value for name, value in state.items()}
    tensors["encoder.seen"] = torch.from_numpy(np.packbits(encoder.seen))
    tensors["encoder.knots"] = torch.from_numpy(np.ascontiguousarray(encoder.knots))
    weights = packed(tensors)
    sidecar = {
        "format": FORMAT,
        "model": checkpoint.settings.model_dump(mode="json"),
        "schema": encoder.schema.model_dump(mode="json"),
        "fingerprint": fingerprint(encoder.schema),
        "calibration": checkpoint.calibration.to_dict(),
        "rows": "int8" if holds_bytes(checkpoint.model) else "float32",
        "weights": named(WEIGHTS, weights),
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
        ContractBroken: not a checkpoint, damaged, of another format, or of another schema (the difference is named).
    """
    try:
        values = json.loads(sidecar)
        kind, fields, expected = values["model"], values["schema"], values["weights"]
    except (ValueError, KeyError, TypeError) as error:
        raise ContractBroken("the checkpoint's sidecar cannot be read", where=where, hint="train again") from error
    if values.get("format") != FORMAT:
        told = f"the checkpoint is of format {values.get('format')}, this release reads {FORMAT}"
        raise ContractBroken(told, where=where, hint="train again")
    if expected != named(WEIGHTS, weights):
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
    if values.get("rows") == "int8":
        model = shrunken(model)
    try:
        tensors = unpacked(weights, where=where)
        bits = np.unpackbits(tensors["encoder.seen"].numpy(), count=encoder.layout.table_rows)
        encoder.seen = bits.astype(np.bool_)
        encoder.knots = tensors["encoder.knots"].numpy()
        prefix = "network."
        state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        model.load_state_dict({k: _spread(v, encoder.seen) if _by_row(k) else v for k, v in state.items()})
    except (KeyError, RuntimeError) as error:
        raise ContractBroken("the checkpoint's weights do not fit its settings", where=where) from error
    model.eval()
    return Checkpoint(settings, encoder, model, Calibration.of(values["calibration"]), dict(values["notes"]))


def _by_row(name: str) -> bool:
    return name.rpartition(".")[2] in BY_ROW


def _spread(lines: Tensor, seen: NDArray[np.bool_]) -> Tensor:
    """Lines of the rows that training met as lines of all rows, the others zero."""
    found = lines.new_zeros(len(seen), *lines.shape[1:])
    found[torch.from_numpy(seen)] = lines
    return found


def save(checkpoint: Checkpoint, folder: Path) -> Path:
    """Writes a checkpoint into a folder, replacing the one there only when the new one is whole."""
    sidecar, weights = to_parts(checkpoint)
    values = json.loads(sidecar)
    files = {str(values["weights"]): weights}
    if checkpoint.state:
        state = packed(checkpoint.state)
        values[OPTIMISER] = named(OPTIMISER, state)
        files[values[OPTIMISER]] = state
    put(folder, SIDECAR, values, files, sweep=(WEIGHTS, OPTIMISER))
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
        name = str(json.loads(sidecar)["weights"])
    except (ValueError, KeyError, TypeError) as error:
        raise ContractBroken(
            "the checkpoint's sidecar cannot be read", where=str(folder), hint="train again"
        ) from error
    return sidecar, take(folder, name, stem=WEIGHTS)


def load(folder: Path, *, schema: FieldSchema | None = None, training: bool = False) -> Checkpoint:
    """The checkpoint of a folder, with the optimiser's state if `training`; raises as `read_parts` and `from_parts`."""
    sidecar, weights = read_parts(folder)
    found = from_parts(sidecar, weights, schema=schema, where=str(folder))
    name = json.loads(sidecar).get(OPTIMISER)
    if not training or name is None:
        return found
    return replace(found, state=unpacked(take(folder, str(name), stem=OPTIMISER), where=str(folder)))
