"""Logs of a small A/B test, written as `serve` writes them; whom they show and what follows is known."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

START = datetime(2026, 11, 2, 8, tzinfo=UTC)


def exposure(request: str, user: str | None, item: str, variant: str, **more: Any) -> dict[str, Any]:
    """One line of the exposure log."""
    return {
        "ts": START.isoformat(), "request_id": request, "user_id": user, "item_id": item, "position": 1, "places": {},
        "surface": "shelf", "generation": "g", "variant": variant, "segment": "all", "propensity": None,
        "forced": False, "experiment": "ranking", "epoch": 1, "share": 0.5, **more,
    }  # fmt: skip


def event(user: str, item: str, kind: str, *, minutes: float = 1.0, **more: Any) -> dict[str, Any]:
    """One line of the event log."""
    at = START + timedelta(minutes=minutes)
    return {"event_id": f"{user}{item}{kind}{minutes}{more.get('request_id')}", "ts": at.isoformat(), "user_id": user,
            "item_id": item, "kind": kind, **more}  # fmt: skip


def write(path: Path, rows: list[Any]) -> Path:
    """JSON lines; what is no dict is written as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def many(users: int, *, lift: float, seed: int = 0) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Two epochs (80/20, then equal) of three days each; a variant's click rate is higher by `lift`."""
    generator = np.random.default_rng(seed)
    shown, happened = [], []
    taste = generator.beta(2.0, 8.0, users)
    lot = generator.random(users)
    for day in range(6):
        epoch, share = (1, 0.2) if day < 3 else (2, 0.5)
        for user in np.flatnonzero(generator.random(users) < 0.5):
            variant = "B2" if lot[user] < share else "A"
            at = START + timedelta(days=day, minutes=int(user))
            for place in range(4):
                item = f"p{generator.integers(0, 40 if variant == 'B2' else 10)}-{place}"
                shown.append(exposure(
                    f"r{day}-{user}", f"u{user}", item, variant, ts=at.isoformat(), position=place + 1, epoch=epoch,
                    share=share if variant == "B2" else 1 - share, segment="young" if user % 3 else "old",
                ))  # fmt: skip
                if generator.random() < taste[user] * (1 + lift * (variant == "B2")):
                    clicked = event(f"u{user}", item, "click", request_id=f"r{day}-{user}")
                    happened.append(clicked | {"ts": (at + timedelta(seconds=30)).isoformat()})
    return shown, happened
