"""What an hourly run stands on: the whole night before it, and the runs that serve; kept beside the run's reports."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from segments.errors import ContractBroken, Refused
from segments.whole import write_whole

FILE = Path("hourly") / "base.json"


@dataclass(frozen=True)
class HourBase:
    """Where an hourly run begins.

    Attributes:
        night: run of the whole night whose tables, segments and catalogue it goes on from.
        serving: item kind → run of the generation that serves, a night's or an hour's.
    """

    night: str
    serving: dict[str, str]

    def write(self, work: Path, run: str) -> None:
        """Keeps it for the later steps of the run."""
        path = work / run / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asdict(self), indent=1))

    @staticmethod
    def forget(work: Path, run: str) -> None:
        """A night of the same clock takes the hour's place."""
        (work / run / FILE).unlink(missing_ok=True)

    @classmethod
    def read(cls, work: Path, run: str) -> HourBase:
        """What the step `catch_up` of the run has kept.

        Raises:
            Refused: the run has none.
            ContractBroken: the file is damaged.
        """
        path = work / run / FILE
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise Refused("this is no hourly run", where=str(path), hint="run the step catch_up first") from error
        except (ValueError, TypeError) as error:
            raise ContractBroken("the file cannot be read", where=str(path), hint="run catch_up again") from error


def checkpoint_before(work: Path, run: str, night: str, kind: str) -> Path:
    """Folder of the newest checkpoint before a run: of the last hour that stands on the same night, else the night's.

    Raises:
        Refused: the night's own checkpoint is gone.
    """
    found = []
    for folder in work.iterdir():
        checkpoint = folder / "models" / kind
        between = night < folder.name < run and (folder / FILE).is_file()
        if between and (checkpoint / "checkpoint.json").is_file() and HourBase.read(work, folder.name).night == night:
            found.append(checkpoint)
    whole = work / night / "models" / kind
    if not found and not (whole / "checkpoint.json").is_file():
        raise Refused("the night's checkpoint is not here", where=str(whole), hint="name the night's own --work")
    return max(found, default=whole)
