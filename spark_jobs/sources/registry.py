"""The sources there are. A new one is one file and one line in each of the two places below."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field as Setting

from spark_jobs.sources.complete_journey import CompleteJourney, CompleteJourneySettings
from spark_jobs.sources.contract import Source
from spark_jobs.sources.files import Files, FilesSettings
from spark_jobs.sources.world import World
from spark_jobs.sources.world_settings import WorldSettings

SourceSettings = Annotated[CompleteJourneySettings | WorldSettings | FilesSettings, Setting(discriminator="kind")]


def build_source(settings: CompleteJourneySettings | WorldSettings | FilesSettings) -> Source:
    """The adapter that goes with the settings."""
    if isinstance(settings, CompleteJourneySettings):
        return CompleteJourney(settings)
    if isinstance(settings, WorldSettings):
        return World(settings)
    return Files(settings)
