"""A second device for machines without one: it computes as the processor does, and refuses what an accelerator would.

A tensor that is moved there holds its numbers in main memory but is of another device to whoever asks. An operation
that meets tensors of both, a tensor made beside the device of its partners, and a look at the numbers without bringing
them back (`numpy`) fail as they would on a GPU. Torch's own name for a device without memory, `meta`, stands for it.
This shows that code keeps its devices apart, and nothing of an accelerator's speed or rounding.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

from spark_jobs.models import loop

DEVICE = torch.device("meta")
# Where else a network may lie: here, and on the accelerator where the machine has one.
PLACES = ["elsewhere", *(["cuda"] if torch.cuda.is_available() else [])]
# Bringing numbers from one device to another is what these are for.
_MOVES = frozenset({"_to_copy", "copy_", "_local_scalar_dense"})


class Away(torch.Tensor):
    """A tensor that says it lies elsewhere; `inner` are its numbers."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Away:
        made = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            device=DEVICE,
        )  # fmt: skip
        made.inner = inner
        found: Away = made
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> Away:
        found = Away(self.inner.clone())
        if getattr(self, "_is_param", False):
            found._is_param = True  # type: ignore[attr-defined]
        memo[id(self)] = found.requires_grad_(self.requires_grad)
        return found

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        return _computed(func, args, kwargs or {})


class _Everywhere(TorchDispatchMode):
    """Operations that begin with main memory's tensors, or with none, may end elsewhere."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        return _computed(func, args, kwargs or {})


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    away = any(isinstance(tensor, Away) for tensor in tensors)
    name, asked = func.overloadpacket.__name__, kwargs.get("device")
    # A lone number may stand in main memory beside a GPU's tensors.
    here = any(tensor.dim() and not isinstance(tensor, Away) for tensor in tensors)
    if away and here and name not in _MOVES:
        raise RuntimeError(f"{func} expects all its tensors on one device")
    goes = away if asked is None else torch.device(asked) == DEVICE
    if name == "copy_":
        goes = isinstance(args[0], Away)
    given = {} if asked is None else {"device": torch.device("cpu")}
    made = func(*tree_map(_inner, args), **{**tree_map(_inner, kwargs), **given})
    if not goes:
        return made
    made = tree_map(lambda leaf: Away(leaf) if isinstance(leaf, torch.Tensor) else leaf, made)
    return return_and_correct_aliasing(func, args, kwargs, made) if away else made


def _inner(leaf: Any) -> Any:
    return leaf.inner if isinstance(leaf, Away) else leaf


@contextmanager
def place(name: str) -> Iterator[torch.device]:
    """One of `PLACES` as a device to move things to; `elsewhere` is then what `training.device: cuda` means."""
    if name == "cuda":
        yield torch.device(name)
        return
    meant = mock.patch.object(loop, "device_of", lambda told: torch.device("cpu") if told.device == "cpu" else DEVICE)
    # Inference mode has no place for tensors of Python's making; what it computes is what no_grad computes.
    inference = mock.patch.object(torch, "inference_mode", torch.no_grad)
    with _Everywhere(), meant, inference, warnings.catch_warnings():
        # Weights do arrive: what lies elsewhere has memory, whatever its device is called.
        warnings.filterwarnings("ignore", message=".*copying from a non-meta parameter")
        yield DEVICE
