"""The same sample of an index every time it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def by_seed(query: Mapping[str, Any]) -> dict[str, Any]:
    """What matches, in an order that is drawn by a fixed seed: the first hits are a sample of it."""
    return {"function_score": {"query": query, "random_score": {"seed": 7, "field": "_seq_no"}}}
