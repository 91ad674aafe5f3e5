"""A training that is killed just after it has saved how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from spark_jobs.models.partial import Partial


@contextmanager
def killed_after(savings: int) -> Iterator[None]:
    """Inside, a training must stop as a signal would stop it, when it has saved itself so many times."""
    real, left = Partial.save, savings

    def save_then_stop(self: Partial, *given: Any) -> None:
        nonlocal left
        real(self, *given)
        left -= 1
        if not left:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Partial, "save", save_then_stop)
        with pytest.raises(KeyboardInterrupt):
            yield
