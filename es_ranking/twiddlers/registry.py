"""The twiddlers that a surface can configure. A new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import Field

from es_ranking.twiddlers.boosts import BoostsSettings
from es_ranking.twiddlers.crowding import CrowdingSettings
from es_ranking.twiddlers.downrank import DownrankSettings
from es_ranking.twiddlers.interval import IntervalSettings
from es_ranking.twiddlers.personal import PersonalSettings
from es_ranking.twiddlers.pins import PinsSettings
from es_ranking.twiddlers.scripted import ScriptedSettings
from segments.errors import UsageError

TwiddlerSettings = Annotated[
    BoostsSettings
    | ScriptedSettings
    | PersonalSettings
    | DownrankSettings
    | PinsSettings
    | IntervalSettings
    | CrowdingSettings,
    Field(discriminator="kind"),
]
"""The settings of one twiddler; `build(facts)` makes the twiddler of one request."""

TWIDDLERS = {
    "boosts": BoostsSettings,
    "scripted": ScriptedSettings,
    "personal": PersonalSettings,
    "downrank": DownrankSettings,
    "pins": PinsSettings,
    "interval": IntervalSettings,
    "crowding": CrowdingSettings,
}


def chosen(settings: tuple[TwiddlerSettings, ...], names: Collection[str] | None) -> tuple[TwiddlerSettings, ...]:
    """Those twiddlers of a surface that a request leaves on; None means all.

    Raises:
        UsageError: a name that is no twiddler.
    """
    if names is None:
        return settings
    for name in names:
        if name not in TWIDDLERS:
            raise UsageError.unknown("twiddler", name, TWIDDLERS)
    return tuple(one for one in settings if one.kind in names)
