"""Strict configuration: one base class for every setting of every floor, read from YAML.

Unknown keys are refused with the nearest known ones, values are validated where they are declared, and a configuration
prints back as the YAML it came from. `${NAME}` and `${NAME:default}` in a YAML file are taken from the environment.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from segments.errors import UsageError

_VARIABLE = re.compile(r"\$\{(\w+)(?::([^}]*))?\}")


class Settings(BaseModel):
    """Base of all settings: immutable, unknown keys refused, defaults validated."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, protected_namespaces=())

    @classmethod
    def of(cls, values: dict[str, Any], *, where: str = "settings") -> Self:
        """Validates `values`; a mistake becomes one `UsageError` that names every wrong key."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
            raise UsageError(f"settings are wrong: {wrong}", where=where) from error

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Reads and validates one YAML file."""
        return cls.of(read_yaml(path), where=str(path))

    def to_yaml(self) -> str:
        """The settings as YAML, defaults included: what is stored with a run."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def read_yaml(path: str | Path, *, variables: bool = True) -> dict[str, Any]:
    """One YAML mapping; with `variables`, those of the environment are filled in.

    Raises:
        UsageError: no such file, not UTF-8, not YAML, not a mapping, or a variable without value and default.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError("cannot read the file", where=str(file), hint=error.strerror) from error
    except ValueError as error:
        raise UsageError("the file is no text in UTF-8", where=str(file)) from error
    try:
        values = yaml.safe_load(_VARIABLE.sub(lambda match: _variable(match, file), text) if variables else text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # a date or a number that is none comes as a ValueError
        raise UsageError(f"not valid YAML: {' '.join(str(error).split())}", where=str(file)) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError("the file must hold a mapping of settings", where=str(file))
    return values


def _variable(match: re.Match[str], file: Path) -> str:
    name, default = match.group(1), match.group(2)
    value = os.environ.get(name, default)
    if value is None:
        raise UsageError(f"environment variable {name} is not set", where=str(file), hint=f"write ${{{name}:default}}")
    return value
