"""Settings of the networks with several heads. Free of torch, so that recipes read quickly."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field as Setting
from pydantic import model_validator

from segments.config import Settings

CLICK = "click"


class MultiTaskSettings(Settings):
    """Heads for the click and further tasks over one embedding table."""

    dim: int = Setting(default=16, ge=1, description="numbers in an embedding")
    tasks: tuple[str, ...] = Setting(
        default=("cart", "purchase"),
        description="further tasks: kinds of events (like, cart, purchase, dwell …); their labels are the columns "
        "`label_<task>` of the examples",
    )
    blend: dict[str, float] = Setting(
        default={CLICK: 1.0},
        description="task → weight of its log odds in the logit that ranks; may be negative (hide)",
    )
    loss: dict[str, float] = Setting(default={}, description="task → weight of its logloss; 1 where not given")
    hidden: tuple[int, ...] = Setting(default=(64,), min_length=1, description="widths of an expert's layers")
    tower: tuple[int, ...] = Setting(default=(32,), description="widths of the hidden layers of each head")
    dropout: float = Setting(default=0.0, ge=0.0, lt=1.0, description="share of hidden numbers dropped in training")

    @model_validator(mode="after")
    def _tasks_meet(self) -> Self:
        if CLICK in self.tasks or len(set(self.tasks)) != len(self.tasks):
            raise ValueError("tasks are further ones, each once: the click is always the first head")
        for name, weights in (("blend", self.blend), ("loss", self.loss)):
            if unknown := set(weights) - {CLICK, *self.tasks}:
                raise ValueError(f"{name} names tasks that there are not: {', '.join(sorted(unknown))}")
        if not any(self.blend.values()):
            raise ValueError("blend weighs every head 0: nothing would rank")
        if any(weight < 0 for weight in self.loss.values()):
            raise ValueError("weights of the loss are 0 or more")
        return self

    def weights(self, kind: Literal["blend", "loss"]) -> tuple[float, ...]:
        """The weight of each head, the click's first."""
        given, otherwise = (self.blend, 0.0) if kind == "blend" else (self.loss, 1.0)
        return tuple(given.get(task, otherwise) for task in (CLICK, *self.tasks))


class SharedBottomSettings(MultiTaskSettings):
    """One body, a head a task."""

    kind: Literal["shared_bottom"] = "shared_bottom"


class MMoESettings(MultiTaskSettings):
    """Experts that every task mixes by a gate of its own."""

    kind: Literal["mmoe"] = "mmoe"
    experts: int = Setting(default=4, ge=1)


class PLESettings(MultiTaskSettings):
    """Shared experts, and experts of each task that the others do not see, level upon level."""

    kind: Literal["ple"] = "ple"
    own: int = Setting(default=1, ge=1, description="experts of each task, a level")
    shared: int = Setting(default=2, ge=1, description="experts of all tasks, a level")
    levels: int = Setting(default=2, ge=1, le=4, description="1 is the paper's CGC")


def tasks_of(settings: Settings) -> tuple[str, ...]:
    """The further tasks that a model learns, whatever model it is."""
    found: tuple[str, ...] = getattr(settings, "tasks", ())
    return found
