"""The families a recipe may name: `kind` picks the settings, and with them the way of cutting."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from segments.families.brand import BrandSettings
from segments.families.crossed import CrossedSettings
from segments.families.demographic import DemographicSettings
from segments.families.grade import GradeSettings

FamilySettings = Annotated[
    DemographicSettings | GradeSettings | BrandSettings | CrossedSettings,
    Field(discriminator="kind"),
]

FAMILIES = {
    "demographic": DemographicSettings,
    "grade": GradeSettings,
    "brand": BrandSettings,
    "crossed": CrossedSettings,
}
