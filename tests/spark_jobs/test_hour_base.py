from __future__ import annotations

from pathlib import Path

import pytest

from segments.errors import ContractBroken, Refused
from spark_jobs.hour_base import FILE, HourBase, checkpoint_before

NIGHT, HOURS = "20260123T000000", ["20260123T010000", "20260123T020000", "20260123T030000"]


def _checkpoint(work: Path, run: str) -> Path:
    folder = work / run / "models" / "product"
    folder.mkdir(parents=True)
    (folder / "checkpoint.json").write_text("{}")
    return folder


def test_an_hour_goes_on_from_the_last_hour_of_the_same_night(tmp_path: Path) -> None:
    (tmp_path / NIGHT).mkdir()
    with pytest.raises(Refused, match="checkpoint"):
        checkpoint_before(tmp_path, HOURS[1], NIGHT, "product")
    night = _checkpoint(tmp_path, NIGHT)
    assert checkpoint_before(tmp_path, HOURS[1], NIGHT, "product") == night
    first = _checkpoint(tmp_path, HOURS[0])
    # A folder that is no hour of this night does not count: another night's hour, an experiment, a later run.
    assert checkpoint_before(tmp_path, HOURS[1], NIGHT, "product") == night
    HourBase("20260122T000000", {}).write(tmp_path, HOURS[0])
    assert checkpoint_before(tmp_path, HOURS[1], NIGHT, "product") == night
    HourBase(NIGHT, {"product": NIGHT}).write(tmp_path, HOURS[0])
    assert checkpoint_before(tmp_path, HOURS[1], NIGHT, "product") == first
    assert checkpoint_before(tmp_path, HOURS[0], NIGHT, "product") == night
    # An hour that was killed before its model was whole is passed over.
    HourBase(NIGHT, {"product": HOURS[0]}).write(tmp_path, HOURS[1])
    assert checkpoint_before(tmp_path, HOURS[2], NIGHT, "product") == first


def test_what_an_hour_stands_on_comes_back_or_says_what_is_wrong(tmp_path: Path) -> None:
    base = HourBase(NIGHT, {"product": NIGHT, "banner": HOURS[0]})
    base.write(tmp_path, HOURS[1])
    assert HourBase.read(tmp_path, HOURS[1]) == base
    with pytest.raises(Refused, match="no hourly run"):
        HourBase.read(tmp_path, HOURS[2])
    (tmp_path / HOURS[1] / FILE).write_text("{")
    with pytest.raises(ContractBroken, match="cannot be read"):
        HourBase.read(tmp_path, HOURS[1])
