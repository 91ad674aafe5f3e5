"""What a surface (a category page, a search, a banner slot) does to its lists: one strict YAML file a surface."""

from __future__ import annotations

from os.path import isfile
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from es_ranking.twiddlers.registry import TwiddlerSettings
from segments.config import Settings, read_yaml
from segments.errors import UsageError

SURFACES = Path(__file__).parent / "surfaces"


class Surface(Settings):
    """A page that lists stand on."""

    name: str = Field(description="as it is written into the exposure log")
    variant: str | None = Field(
        default=None, description="variant served where no experiment decides; None: the index's default"
    )
    item_field: str = Field(default="item_id", description="unique keyword field with doc values")
    twiddlers: tuple[TwiddlerSettings, ...] = Field(
        default=(), description="those of the registry (docs/search.md), one of a kind"
    )
    variants: dict[str, tuple[TwiddlerSettings, ...]] = Field(
        default_factory=dict, description="variant → twiddlers that stand in for those of the same kind, or join them"
    )
    at_once: int = Field(
        default=100, ge=0, description="windows up to this many hits are planned and fetched by one request"
    )
    max_window: int = Field(default=10_000, ge=1, description="index.max_result_window of the index")

    @model_validator(mode="after")
    def _one_of_a_kind(self) -> Self:
        for listed in (self.twiddlers, *self.variants.values()):
            kinds = [twiddler.kind for twiddler in listed]
            if len(set(kinds)) < len(kinds):
                raise ValueError(f"a twiddler is listed twice: {kinds}")
        return self

    def twiddlers_of(self, variant: str) -> tuple[TwiddlerSettings, ...]:
        """What a variant does to the lists of this surface: its parameters are part of it, so that an A/B test can
        choose them."""
        by_kind = {one.kind: one for one in (*self.twiddlers, *self.variants.get(variant, ()))}
        return tuple(by_kind.values())


PLAIN = Surface(name="plain")
"""A surface without twiddlers."""


def load_surface(name_or_path: str) -> Surface:
    """A surface that ships with the package, by name, or any YAML file, by path.

    Raises:
        UsageError: neither, or the file is wrong.
    """
    shipped = {path.stem: path for path in sorted(SURFACES.glob("*.yaml"))}
    if name_or_path not in shipped and not isfile(name_or_path):
        raise UsageError.unknown("surface", name_or_path, shipped)
    file = shipped.get(name_or_path, Path(name_or_path))
    return Surface.of(read_yaml(file), where=str(file))
