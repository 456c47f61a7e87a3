"""Mutants of a source file: each a small change to one function, made in its syntax tree, compiled on demand.

A mutant keeps the free variables of its function, so that its code can take the place of the function's own.
"""

import ast
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
EXCEPTIONS = {"TypeError": "ValueError", "ValueError": "TypeError", "RuntimeError": "ValueError"}
"""What is raised in the place of an exception; in that of all others RuntimeError."""

NEVER = "FloatingPointError"
"""What a handler catches that is put out of work."""

SIMPLE = (ast.Expr, ast.Assign, ast.AugAssign, ast.Delete, ast.Raise, ast.Return, ast.Break, ast.Continue)


@dataclass(frozen=True)
class Mutant:
    """One change: the function's qualified name, the lines that reach it, the change as text, and where it is made."""

    function: str
    lines: range
    change: str
    holder: Any
    field: str | int
    replacement: Any

    @contextlib.contextmanager
    def made(self) -> Iterator[None]:
        """Make the change in the tree; it is undone at the end."""
        original = self._exchange(self.replacement)
        try:
            yield
        finally:
            self._exchange(original)

    def _exchange(self, new: Any) -> Any:
        if isinstance(self.field, int):
            old, self.holder[self.field] = self.holder[self.field], new
        else:
            old = getattr(self.holder, self.field)
            setattr(self.holder, self.field, new)
        return old

    def code(self, tree: ast.Module, path: str, first_line: int) -> CodeType:
        """Return the changed code of the function that begins at that line."""
        with self.made():
            module = compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
        found = [module]
        for code in found:
            if code.co_qualname == self.function and code.co_firstlineno == first_line:
                return code
            found += [part for part in code.co_consts if isinstance(part, CodeType)]
        raise LookupError(f"{self.function} is not in {path} at line {first_line}")


def mutants(tree: ast.Module) -> Iterator[Mutant]:
    """Yield the mutants of all functions of a module, in the order of its text."""
    yield from _in_body(tree.body, "")


def _in_body(body: list[ast.stmt], prefix: str) -> Iterator[Mutant]:
    for node in body:
        match node:
            case ast.ClassDef():
                yield from _in_body(node.body, f"{prefix}{node.name}.")
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _Function(prefix + node.name).block(node.body)
            case ast.If():
                yield from _in_body(node.body, prefix)
                yield from _in_body(node.orelse, prefix)


class _Function:
    """Mutants of one function, those of functions within it included."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lines = range(0)

    def _mutant(self, change: str, holder: Any, field: str | int, replacement: Any) -> Mutant:
        return Mutant(self._name, self._lines, change, holder, field, replacement)

    def block(self, body: list[ast.stmt]) -> Iterator[Mutant]:
        for index, node in enumerate(body):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue  # a docstring
            if isinstance(node, ast.If) and any(
                isinstance(part, ast.Attribute) and part.attr == "_debug" for part in ast.walk(node.test)
            ):
                continue  # what debug mode adds is its own area's
            yield from self._statement(body, index, node)

    def _statement(self, body: list[ast.stmt], index: int, node: ast.stmt) -> Iterator[Mutant]:
        nested = [getattr(node, name) for name in ("body", "orelse", "finalbody") if getattr(node, name, None)]
        handlers: list[ast.ExceptHandler] = getattr(node, "handlers", [])
        begins = min((part[0].lineno for part in nested), default=(node.end_lineno or node.lineno) + 1)
        self._lines = range(node.lineno, max(begins, node.lineno + 1))
        if isinstance(node, SIMPLE):
            dead = ast.If(ast.Constant(False), [node], [])  # what it names stays a variable of the function
            yield self._mutant(f"drop `{ast.unparse(node)}`", body, index, ast.copy_location(dead, node))
        for field, value in ast.iter_fields(node):
            if not any(value is part for part in nested) and value is not handlers:
                yield from self._expressions(node, field, value)
        match node:
            case ast.If() | ast.While():
                yield self._mutant(
                    f"negate `{ast.unparse(node.test)}`", node, "test", ast.UnaryOp(ast.Not(), node.test)
                )
            case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
                yield self._mutant(f"return None for `{ast.unparse(value)}`", node, "value", ast.Constant(None))
            case ast.Raise(exc=ast.Call(func=ast.Name(id=name)) as call):
                other = EXCEPTIONS.get(name, "RuntimeError")
                yield self._mutant(f"raise {other} for `{name}`", call, "func", ast.Name(other, ast.Load()))
        for handler in handlers:
            self._lines = range(handler.lineno, handler.lineno + 1)
            yield from self._handler(handler)
        for part in nested:
            yield from self.block(part)
        for handler in handlers:
            yield from self.block(handler.body)

    def _handler(self, handler: ast.ExceptHandler) -> Iterator[Mutant]:
        caught = ast.unparse(handler.type) if handler.type else ""
        yield self._mutant(f"no longer `except {caught}`", handler, "type", ast.Name(NEVER, ast.Load()))
        if isinstance(handler.type, ast.Tuple):
            for position, element in enumerate(handler.type.elts):
                yield self._mutant(
                    f"except without `{ast.unparse(element)}` of `{caught}`",
                    handler.type.elts,
                    position,
                    ast.Name(NEVER, ast.Load()),
                )

    def _expressions(self, holder: Any, field: str | int, value: Any) -> Iterator[Mutant]:
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._expressions(value, index, item)
        elif isinstance(value, ast.JoinedStr):
            return  # words of a message
        elif isinstance(value, ast.Call) and isinstance(holder, ast.Raise) and len(value.args) < 2:
            return  # the same
        elif isinstance(value, ast.AST):
            yield from self._expression(holder, field, value)
            for name, part in ast.iter_fields(value):
                yield from self._expressions(value, name, part)

    def _expression(self, holder: Any, field: str | int, node: ast.AST) -> Iterator[Mutant]:
        def becomes(new: ast.AST) -> Mutant:
            new = ast.copy_location(new, node)
            return self._mutant(f"`{ast.unparse(node)}` -> `{ast.unparse(new)}`", holder, field, new)

        match node:
            case ast.Compare(left=left, ops=[operator, *more], comparators=others):
                if type(operator) in COMPARISONS:
                    yield becomes(ast.Compare(left, [COMPARISONS[type(operator)](), *more], others))
            case ast.BoolOp(op=operator, values=values):
                other = ast.Or() if isinstance(operator, ast.And) else ast.And()
                yield becomes(ast.BoolOp(other, values))
                for index in range(len(values)):
                    rest = values[:index] + values[index + 1 :]
                    yield becomes(ast.BoolOp(operator, rest) if len(rest) > 1 else rest[0])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield becomes(operand)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                yield becomes(ast.IfExp(test, orelse, body))
            case ast.BinOp(left=left, op=operator, right=right):
                if type(operator) in ARITHMETIC:
                    yield becomes(ast.BinOp(left, ARITHMETIC[type(operator)](), right))
            case ast.Constant(value=bool() as value):
                yield becomes(ast.Constant(not value))
            case ast.Constant(value=int() | float() as value):
                yield becomes(ast.Constant(value + 1))
                if value:
                    yield becomes(ast.Constant(value - 1))
            case ast.Call(func=function, args=arguments, keywords=keywords):
                if arguments:
                    yield becomes(ast.Call(function, arguments[:-1], keywords))
                for index in range(len(keywords)):
                    yield becomes(ast.Call(function, arguments, keywords[:index] + keywords[index + 1 :]))
