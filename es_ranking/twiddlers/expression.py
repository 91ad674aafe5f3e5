"""Expressions that operators write: arithmetic over named numbers, and nothing else.

A text is parsed by Python's own parser and turned into closures, node by node, from a short list of nodes; whatever is
not on the list is refused. No text is ever evaluated by Python, and no value but a float ever exists while computing.

Grammar: numbers, names, `+ - * / % **` (a power's exponent is a whole number from -8 to 8, written out),
`< <= > >= == !=`, `and or not`, `a if condition else b`, and the functions of `FUNCTIONS`.
Meaning: true is 1, false is 0; everything that is not 0 is true. A division (or modulo) by zero is 0. Every
intermediate result is cut to ±1e12; what is not a number is 0.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from segments.errors import UsageError

LONGEST, DEEPEST, MOST_NODES, LARGEST, STEEPEST = 500, 40, 200, 1e12, 8
NAME = re.compile(r"[A-Za-z](?:_?[A-Za-z0-9])*")
FUNCTIONS: dict[str, tuple[int, Callable[..., float]]] = {
    "min": (2, min),
    "max": (2, max),
    "abs": (1, abs),
    # of what is negative: 0
    "log1p": (1, lambda x: math.log1p(max(x, 0.0))),
}
"""Function → how many arguments it takes."""
HINT = "numbers, names, + - * / % **, comparisons, and/or/not, a if b else c, " + ", ".join(FUNCTIONS)

Compute = Callable[[Mapping[str, float]], float]


@dataclass(frozen=True)
class Expression:
    """An expression that was read: which names it needs, and how it is computed from them."""

    text: str
    names: frozenset[str]
    compute: Compute

    @classmethod
    def of(cls, text: str) -> Expression:
        """Reads an expression.

        >>> Expression.of("score * (1 + n_like) / place").compute({"score": 0.5, "n_like": 1.0, "place": 0.0})
        0.0

        Raises:
            UsageError: not an expression of the grammar above, too long or too deep.
        """
        if len(text) > LONGEST:
            raise _refused(f"{len(text)} characters; {LONGEST} at most", text)
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = error.msg if isinstance(error, SyntaxError) else type(error).__name__
            raise _refused(f"cannot be read ({reason})", text) from None
        if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
            raise _refused(f"more than {MOST_NODES} parts", text)
        reader = _Reader(text)
        compute = reader.read(tree.body, 0)
        return cls(text, frozenset(reader.names), compute)


class _Reader:
    """Turns the nodes of one text into closures."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: set[str] = set()

    def read(self, node: ast.expr, depth: int) -> Compute:
        if depth > DEEPEST:
            raise _refused(f"more than {DEEPEST} levels deep", self.text)
        reader = _NODES.get(type(node))
        if reader is None:
            raise _refused(f"{type(node).__name__} is not part of the language", self.text)
        return reader(self, node, depth + 1)

    def constant(self, node: ast.Constant, depth: int) -> Compute:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not -LARGEST <= value <= LARGEST:
            raise _refused(f"{str(value)[:20]!r} is not a number up to {LARGEST:g}", self.text)
        number = float(value)
        return lambda _: number

    def name(self, node: ast.Name, depth: int) -> Compute:
        name = node.id
        if not NAME.fullmatch(name) or name in FUNCTIONS:
            raise _refused(f"{name!r} is not a name that can be used", self.text)
        self.names.add(name)
        return lambda values: values[name]

    def binary(self, node: ast.BinOp, depth: int) -> Compute:
        if isinstance(node.op, ast.Pow):
            return self._power(node, depth)
        act = _BINARY.get(type(node.op))
        if act is None:
            raise _refused(f"{type(node.op).__name__} is not part of the language", self.text)
        left, right = self.read(node.left, depth), self.read(node.right, depth)
        return lambda values: _bounded(act, left(values), right(values))

    def _power(self, node: ast.BinOp, depth: int) -> Compute:
        base, written = self.read(node.left, depth), node.right
        sign = 1
        if isinstance(written, ast.UnaryOp) and isinstance(written.op, ast.USub):
            sign, written = -1, written.operand
        value = written.value if isinstance(written, ast.Constant) else None
        if type(value) is not int or value > STEEPEST:
            raise _refused(f"an exponent is a whole number from -{STEEPEST} to {STEEPEST}, written out", self.text)
        exponent = sign * value
        return lambda values: _bounded(operator.pow, base(values), exponent)

    def unary(self, node: ast.UnaryOp, depth: int) -> Compute:
        operand = self.read(node.operand, depth)
        if isinstance(node.op, ast.USub):
            return lambda values: -operand(values)
        if isinstance(node.op, ast.Not):
            return lambda values: float(not operand(values))
        if isinstance(node.op, ast.UAdd):
            return operand
        raise _refused(f"{type(node.op).__name__} is not part of the language", self.text)

    def both(self, node: ast.BoolOp, depth: int) -> Compute:
        parts = [self.read(one, depth) for one in node.values]
        every = all if isinstance(node.op, ast.And) else any
        return lambda values: float(every(part(values) for part in parts))

    def compare(self, node: ast.Compare, depth: int) -> Compute:
        acts = [_COMPARISONS.get(type(one)) for one in node.ops]
        if None in acts:
            raise _refused("only < <= > >= == != compare", self.text)
        parts = [self.read(one, depth) for one in (node.left, *node.comparators)]

        def compute(values: Mapping[str, float]) -> float:
            numbers = [part(values) for part in parts]
            return float(all(act(a, b) for act, a, b in zip(acts, numbers, numbers[1:], strict=False) if act))

        return compute

    def choice(self, node: ast.IfExp, depth: int) -> Compute:
        test, yes, no = (self.read(one, depth) for one in (node.test, node.body, node.orelse))
        return lambda values: yes(values) if test(values) else no(values)

    def call(self, node: ast.Call, depth: int) -> Compute:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in FUNCTIONS:
            raise _refused("only " + ", ".join(FUNCTIONS) + " can be called", self.text)
        count, act = FUNCTIONS[name]
        if node.keywords or len(node.args) != count:
            raise _refused(f"{name} takes {count} arguments", self.text)
        parts = [self.read(one, depth) for one in node.args]
        return lambda values: act(*(part(values) for part in parts))


# ast.expr subclasses that may stand in an expression; everything else is refused by not being here
_NODES: dict[type[ast.expr], Callable[..., Compute]] = {
    ast.Constant: _Reader.constant, ast.Name: _Reader.name, ast.BinOp: _Reader.binary, ast.UnaryOp: _Reader.unary,
    ast.BoolOp: _Reader.both, ast.Compare: _Reader.compare, ast.IfExp: _Reader.choice, ast.Call: _Reader.call,
}  # fmt: skip
_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}  # fmt: skip
_COMPARISONS: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}  # fmt: skip


def _bounded(act: Callable[[float, float], float], a: float, b: float) -> float:
    try:
        value = act(a, b)
    except ZeroDivisionError:
        return 0.0
    except OverflowError:
        return LARGEST
    return 0.0 if math.isnan(value) else min(max(value, -LARGEST), LARGEST)


def _refused(why: str, text: str) -> UsageError:
    shown = text if len(text) <= 60 else text[:57] + "..."
    return UsageError(f"not an expression: {why}", where=repr(shown), hint=HINT)
