"""Settings of the personal re-sort's item vectors: what a shelf's `personal:` block may say."""

from __future__ import annotations

from pydantic import Field as Setting

from segments.config import Settings
from spark_jobs.models.settings import TwoTowerSettings
from spark_jobs.models.training_settings import TrainingSettings


class PersonalSettings(Settings):
    """How item vectors for the personal re-sort are learnt, and which clicks make a taste."""

    model: TwoTowerSettings = TwoTowerSettings()
    training: TrainingSettings = TrainingSettings()
    user_buckets: int = Setting(
        default=65_536,
        ge=0,
        description="embedding rows of the user id, a field of the viewer's tower; 0: the towers know segments alone",
    )
    item_buckets: int = Setting(
        default=0, ge=0, description="embedding rows of the item id, where the shelf's own fields leave it out; 0: none"
    )
    days: int = Setting(default=180, ge=1, description="clicks of so many days before the clock make a taste")
