"""The expression language: what it computes, and everything it refuses."""

from __future__ import annotations

import pytest

from es_ranking.twiddlers.contract import Facts, Hit
from es_ranking.twiddlers.expression import DEEPEST, LARGEST, LONGEST, Expression
from es_ranking.twiddlers.planner import Planner
from es_ranking.twiddlers.scripted import ScriptedSettings
from segments.errors import UsageError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3 - 4 / 8", 6.5),
        ("-x ** 2", -9.0),
        ("x ** -1", 1 / 3),
        ("+x % 2", 1.0),
        ("x / zero", 0.0),
        ("x % zero", 0.0),
        ("zero ** -1", 0.0),
        ("1e12 * 1e12", LARGEST),
        ("-1e12 * 1e12", -LARGEST),
        ("1e12 ** 8", LARGEST),
        ("x > 2", 1.0),
        ("1 < x <= 3 != zero", 1.0),
        ("1 < x < 3", 0.0),
        ("not x", 0.0),
        ("x and zero", 0.0),
        ("x or zero", 1.0),
        ("5 if x == 3 else 7", 5.0),
        ("min(x, 2) + max(x, 4) + abs(-1)", 7.0),
        ("log1p(x - 3)", 0.0),
        ("log1p(-50)", 0.0),
        (" (x\n+ 1) ", 4.0),
    ],
)
def test_what_it_computes(text: str, value: float) -> None:
    assert Expression.of(text).compute({"x": 3.0, "zero": 0.0}) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    [
        # attribute access, dunder names, what leads out of the arithmetic
        "score.__class__", "(1).real", "__import__('os')", "__builtins__", "_x", "a__b", "x.y",
        # calls
        "open(1)", "eval(1)", "exec(1)", "getattr(score, 1)", "min.__call__(1, 2)", "(lambda: 1)()", "min(max, 1)",
        "min(*x)", "min(1)", "min(1, 2, 3)", "abs(x=1)", "log1p()", "print(1)", "breakpoint()", "x()", "min",
        # comprehensions, lambda, containers, slices, f-strings, strings, bytes, other constants
        "[x for x in y]", "{x for x in y}", "{x: 1 for x in y}", "(x for x in y)", "lambda x: x", "[1]", "(1, 2)",
        "{1}", "{}", "x[0]", "x[1:2]", "'a'", "\"a\" * 9", "f'{x}'", "b'a'", "None", "True", "...", "1j", "*x",
        # huge numbers and powers
        "9 ** 9 ** 9", "2 ** 99", "2 ** -99", "x ** x", "x ** 0.5", "x ** True", "x ** -(-2)", "1e13", "1e999",
        "9" * 400,
        # statements, assignment, other operators
        "x = 1", "x := 1", "(x := 1)", "x; y", "import os", "x @ y", "x // y", "x << 9", "x | y", "x & y", "~x",
        "x is y", "x in y", "x not in y", "await x", "yield x", "(yield)", "assert x", "del x", "",
        # size, depth, damage
        "x + " * 200 + "x", "x+" * 99 + "x", "-" * 300 + "1", "(" * 240 + "1" + ")" * 240, "x\x00", "\ud800",
        "ｘ\u0301", "é", "1 if x", "((1)", "# nothing",
    ],
)  # fmt: skip
def test_what_it_refuses(text: str) -> None:
    with pytest.raises(UsageError, match="not an expression"):
        Expression.of(text)


def test_the_limits_are_where_they_are_said_to_be() -> None:
    assert Expression.of("-" * DEEPEST + "1").compute({}) == 1.0
    with pytest.raises(UsageError, match="levels deep"):
        Expression.of("-" * (DEEPEST + 1) + "1")
    assert Expression.of("1" + " " * (LONGEST - 1)).compute({}) == 1.0
    with pytest.raises(UsageError, match="characters"):
        Expression.of("1" + " " * LONGEST)


def test_it_orders_the_top_and_says_why() -> None:
    hits = [
        Hit("a", 0.9, {"price": (4.0,), "fresh": (False,)}),
        Hit("b", 0.8, {"price": ("cheap",), "fresh": (True,)}),
        Hit("c", 0.7, {}),
        Hit("d", 0.6, {"fresh": (True,)}),
        Hit("e", None, {"fresh": (True,)}),
    ]
    settings = ScriptedSettings(name="fresh", expression="fresh - n_view + price / 100", depth=3, missing=5.0)
    plan = Planner([settings.build(Facts(counts={"b": {"view": 2}}))]).plan(hits, 5, ended=True)
    # a: 0 + 0.04, b: 1 - 2 + 0.05, c: 5 + 0.05; d lies below the depth, e has no rank
    assert [entry.hit.item_id for entry in plan.order] == ["c", "a", "b", "d", "e"]
    assert [entry.score for entry in plan.order] == [0.9, 0.8, 0.7, 0.6, None]
    assert [(move.stage, move.source, move.target, move.reason) for move in plan.order[0].moves()] == [
        ("scripted", 3, 1, "fresh: 5.05")
    ]
    assert settings.attributes(Facts()) == ("fresh", "price")
