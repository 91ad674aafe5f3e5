"""An unfinished training on disk: what a killed run goes on from, bit for bit on the CPU.

Holds weights, averaged weights, the best epoch's weights, optimiser state, counters, the states of all generators, the
curve so far, and what the training is of: settings, fields and a digest of the examples. What is of another training is
refused, and the differences are named.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from segments.errors import ContractBroken, Refused
from spark_jobs.fields import FieldSchema
from spark_jobs.models.checkpoint import differences
from spark_jobs.models.weight_files import named, packed, put, take, unpacked

FORMAT = 2  # 1 kept one sum for a whole row of the table
SIDECAR = "partial.json"
STEM = "partial"


@dataclass(frozen=True)
class Partial:
    """Where an unfinished training lies, and what it is of (`model`, `training`, `schema`, `epochs`, `examples`)."""

    folder: Path
    identity: Mapping[str, Any]

    def save(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Replaces what is there, only when the new one is whole."""
        content = packed(tensors)
        name = named(STEM, content)
        sidecar = {"format": FORMAT, "of": self.identity, "tensors": name, "values": values}
        put(self.folder, SIDECAR, sidecar, {name: content}, sweep=(STEM,))

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """(tensors, values) as saved, None if there is nothing.

        Raises:
            Refused: it is of another training; the differences are named.
            ContractBroken: it cannot be read.
        """
        hint = f"remove {self.folder} to train from the beginning"
        try:
            text = (self.folder / SIDECAR).read_text(encoding="utf-8")
        except OSError:
            return None
        try:
            found = json.loads(text)
            shape, of, name, values = found["format"], dict(found["of"]), str(found["tensors"]), dict(found["values"])
        except (ValueError, KeyError, TypeError) as error:
            raise ContractBroken("the unfinished training cannot be read", where=str(self.folder), hint=hint) from error
        words = changes({"format": FORMAT, **self.identity}, {"format": shape, **of})
        if words:
            raise Refused(f"the unfinished training is another one: {'; '.join(words)}", where=str(self.folder),
                          hint=hint)  # fmt: skip
        return unpacked(take(self.folder, name, stem=STEM), where=str(self.folder)), values


def changes(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """What differs between two trainings' identities, in words."""
    words: list[str] = []
    for name in sorted(mine.keys() | theirs.keys()):
        own, other = (json.loads(json.dumps(side.get(name))) for side in (mine, theirs))
        if own == other:
            continue
        if name == "schema" and own and other:
            words += differences(FieldSchema.of(own), FieldSchema.of(other))
        elif isinstance(own, dict) and isinstance(other, dict):
            keys = sorted(key for key in own.keys() | other.keys() if own.get(key) != other.get(key))
            words += [f"{name}.{key} was {other.get(key)}, is now {own.get(key)}" for key in keys]
        elif name == "examples":
            words.append("the examples have changed")
        else:
            words.append(f"{name} was {other}, is now {own}")
    return words
