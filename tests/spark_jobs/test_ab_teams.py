"""Interleaved lists from the two logs to the preference: counts by hand, a planted one found, bad input refused."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from cli.main import exit_code_of
from segments.errors import UsageError
from segments.teams import team_draft
from spark_jobs.ab_teams import interleaving_report
from tests.spark_jobs.ab_world import START, event, exposure, write

PAIR = "A+B2"


def told(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Any:
    command = ["experiment", "interleaving", *map(str, arguments), "--experiment", "duel", "--output", "json"]
    assert exit_code_of(command) == code
    captured = capsys.readouterr()
    return captured.err if code else json.loads(captured.out)


def pick(request: str, user: str | None, item: str, place: int, team: str | None, **more: Any) -> dict[str, Any]:
    return exposure(request, user, item, PAIR, position=place, team=team, experiment="duel", **more)


def test_what_users_do_falls_to_the_team_that_placed_the_item(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = write(tmp_path / "shown.jsonl", [
        pick("r1", "ann", "p1", 1, "A"), pick("r1", "ann", "p2", 2, "B2"), pick("r1", "ann", "p3", 3, None),
        pick("r1", "ann", "p2", 2, "B2"),
        # the same item is the other team's elsewhere
        pick("r2", "ann", "p1", 1, "B2", ts=(START + timedelta(hours=2)).isoformat()),
        pick("r3", "bob", "p1", 1, "A", segment="young"), pick("r3", "bob", "p2", 2, "B2", segment="young"),
        pick("r4", None, "p2", 1, "B2"), pick("r5", "boss", "p1", 1, "A", forced=True),
        exposure("r6", "eve", "p1", "A", experiment="duel"), exposure("r7", "eve", "p1", PAIR, team="A"),
        {"request_id": "r8"},
    ])  # fmt: skip
    happened = write(tmp_path / "events.jsonl", [
        event("ann", "p1", "click", request_id="r1"), event("ann", "p1", "click", request_id="r1", minutes=2),
        event("ann", "p2", "click", request_id="r1"), event("ann", "p3", "click", request_id="r1"),
        event("ann", "p9", "click", request_id="r1"), event("ann", "p1", "impression", request_id="r1"),
        event("ann", "p1", "click", minutes=121),
        event("ann", "p2", "purchase", minutes=50, value=2.5), event("ann", "p1", "purchase", minutes=130, value=4.0),
        event("bob", "p2", "click", request_id="r3"), event("bob", "p2", "save", request_id="r3"),
        event("bob", "p1", "cart", request_id="r3"), event("boss", "p1", "click", request_id="r5"),
        event("eve", "p1", "click", request_id="r6"), event("eve", "p1", "click", request_id="r7"),
    ])  # fmt: skip
    found = told(capsys, "--exposures", shown, "--events", happened)
    (one,) = found["pairs"].values()
    assert (found["from"], found["to"], found["refused"]) == ("2026-11-02", "2026-11-02", {"exposures": 1, "events": 0})
    assert (one["variants"], one["users"], one["views"]) == (["A", "B2"], 3, 4)
    assert (one["picks"], one["nobody"]) == ({"A": 2, "B2": 4}, 1)
    metrics = one["metrics"]
    by_team = {name: (each["first"], each["second"]) for name, each in metrics.items() if each}
    assert by_team == {"clicks": (1, 3), "saves": (0, 1), "carts": (1, 0), "orders": (0, 2), "sales": (0, 6.5)}
    clicks = metrics["clicks"]
    assert (clicks["users"], clicks["prefer_first"], clicks["prefer_second"]) == (2, 0, 2)
    assert clicks["share"]["value"] == 0.75
    # influences of ann and bob on 3/4: (2 - 3/4 * 3) / 4 and (1 - 3/4) / 4, times 2 / (2 - 1)
    assert clicks["share"]["low"] == pytest.approx(0.75 - 1.959964 * (2 * (0.0625**2 + 0.0625**2)) ** 0.5)
    assert metrics["saves"]["share"] == {"value": 1.0, "low": None, "high": None}, "one user says nothing of the spread"
    assert {name: (each or {}).get("second") for name, each in one["by_segment"].items()} == {"all": 2, "young": 1}


def duel(users: int, *, gain: float, seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Lists of 8 of 30 items, three a user; B2's order knows `gain` of the users' true click rates, A's nothing."""
    generator = np.random.default_rng(seed)
    rate = generator.beta(1.0, 6.0, 30)
    shown, happened = [], []
    for user in range(users):
        level = generator.gamma(1.0, 1.0)
        for visit in range(3):
            noise = generator.random((2, 30))
            orders = [np.argsort(-(weight * rate + 0.3 * chance)).tolist()
                      for weight, chance in zip((0.0, gain), noise, strict=True)]  # fmt: skip
            request, at = f"r{user}-{visit}", START + timedelta(days=visit, minutes=user)
            for place, (item, team) in enumerate(team_draft(*orders, seed=user * 3 + visit)[:8], start=1):
                name = None if team is None else ("A", "B2")[team]
                shown.append(pick(request, f"u{user}", f"p{item}", place, name, ts=at.isoformat()))
                if generator.random() < min(1.0, level * rate[item]):
                    clicked = event(f"u{user}", f"p{item}", "click", request_id=request)
                    happened.append(clicked | {"ts": (at + timedelta(seconds=9)).isoformat()})
    return shown, happened


@pytest.mark.parametrize("gain", [0.0, 1.0])
def test_a_planted_preference_is_found_and_none_where_there_is_none(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str], gain: float
) -> None:
    shown, happened = duel(150, gain=gain, seed=3)
    logs = ("--exposures", write(tmp_path / "s.jsonl", shown), "--events", write(tmp_path / "e.jsonl", happened))
    found = told(capsys, *logs, "--effect", "0.3")
    one = found["pairs"][PAIR]
    clicks = one["metrics"]["clicks"]
    assert one["coin"]["sound"]
    assert found["warnings"] == []
    assert abs(one["picks"]["A"] - one["picks"]["B2"]) < one["views"]
    if gain:
        assert clicks["share"]["low"] > 0.55
        assert max(clicks["p"], clicks["always_valid_p"]) < 0.001
        assert clicks["prefer_second"] > 1.5 * clicks["prefer_first"]
    else:
        assert clicks["share"]["low"] < 0.5 < clicks["share"]["high"]
    assert exit_code_of(["experiment", "interleaving", *map(str, logs), "--experiment", "duel"]) == 0
    assert "share of B2" in capsys.readouterr().out


def test_bad_input_is_one_line(spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = write(tmp_path / "events.jsonl", [event("ann", "p1", "save")])

    def refused(*rows: Any, code: int) -> str:
        shown = write(tmp_path / "shown.jsonl", list(rows))
        text: str = told(capsys, "--exposures", shown, "--events", events, code=code)
        assert len(text.strip().splitlines()) == 1, text
        return text

    with pytest.raises(UsageError, match="not a relative effect"):
        interleaving_report(tmp_path, tmp_path, "duel", scale=0.0)
    assert "no interleaved list of experiment 'duel'" in refused(exposure("r", "a", "p", "A"), code=3)
    assert "none of the 2 rows" in refused("{", "nonsense", code=4)
    shown = write(tmp_path / "shown.jsonl", [*(pick(f"r{n}", "ann", "p1", 1, "A") for n in range(20))])
    found = told(capsys, "--exposures", shown, "--events", events)
    assert [line.split(":")[1].split("(")[0] for line in found["warnings"]] == [
        " lists do not begin evenly with either's pick ", " no click on anybody's picks"
    ]  # fmt: skip
    assert found["pairs"][PAIR]["metrics"]["clicks"] is None
    command = ["experiment", "report", "--exposures", str(shown), "--events", str(events), "--experiment", "duel"]
    assert exit_code_of(command) == 3
    assert "es-ranking experiment interleaving compares its two" in capsys.readouterr().err
