"""A stand-alone script for one case: its source and all it uses, cut out of the suite, around one loop.

It needs the standard library and the loop alone, or, where the case uses the fault kit, this package.
"""

import __future__

import ast
import copy
import dis
import functools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType

from .. import authoring
from ..cases import ROOT

_PACKAGE = Path(authoring.__file__).parent
_FIXTURES = _PACKAGE / "fixtures.py"
_TMP_PATH = "pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))"

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


def source_of(value: object) -> str | None:
    """Return an expression for a parameter of a case: literals and non-finite floats. None for anything else."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    text = repr(value)
    try:
        return text if ast.literal_eval(text) == value else None
    except (ValueError, SyntaxError):
        return None


def reproducer_of(case: str, factory: str, parameters: Mapping[str, str | None]) -> str:
    """Return a script that runs the case on the loop that ``MODULE:FACTORY`` makes, and ends with its error.

    ``parameters`` maps the parametrized arguments to expressions (`source_of`). Where one is not known, or the source
    is not at hand, the answer is the command that runs the case.
    """
    path, _, name = case.partition("::")
    try:
        return _Script(ROOT / path).write(name.partition("[")[0], factory, parameters)
    except (OSError, SyntaxError, LookupError):
        return f"pytest --pyargs loopproof --loop {factory} -k '{name}'"


class _Module:
    """The top level of one source file: what it defines and what it imports."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = path.read_text()
        self.definitions: dict[str, Definition] = {}
        self.imports: dict[str, ast.Import | ast.ImportFrom] = {}
        for node in ast.parse(self.source).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    self.imports[alias.asname or alias.name.partition(".")[0]] = node
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self.definitions[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    for part in ast.walk(target):
                        if isinstance(part, ast.Name):
                            self.definitions[part.id] = node

    def origin(self, name: str) -> "tuple[_Module, str] | None":
        """Return the module of the suite that an imported name comes from, and its name there."""
        node = self.imports.get(name)
        if not isinstance(node, ast.ImportFrom):
            return None
        package = self.path.parent if node.level == 1 else None
        if node.module and (node.module + ".").startswith("loopproof.authoring."):
            package, module = _PACKAGE, node.module.removeprefix("loopproof.authoring").removeprefix(".")
        elif package is not None and package == _PACKAGE:
            module = node.module or ""
        else:
            return None
        original = next(alias.name for alias in node.names if (alias.asname or alias.name) == name)
        found = _module(package / f"{module or '__init__'}.py")
        return found.origin(original) or (found, original)


@functools.cache
def _module(path: Path) -> _Module:
    return _Module(path)


class _Script:
    def __init__(self, path: Path) -> None:
        self._case = _module(path)
        self._imports: dict[str, None] = {"import contextlib": None}
        self._parts: dict[str, str] = {}

    def write(self, function: str, factory: str, parameters: Mapping[str, str | None]) -> str:
        node = self._case.definitions[function]
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        self._carry(self._case, function)
        arguments = _arguments(node)
        needed = dict.fromkeys(arguments)
        asynchronous = isinstance(node, ast.AsyncFunctionDef)
        if asynchronous:
            needed["loop"] = None
            self._carry(_module(_PACKAGE / "execution.py"), "run_to_completion")
        set_up = self._set_up(needed, factory, parameters)
        given = ", ".join(f'"{name}": {name}' for name in arguments)
        call = f"run_to_completion(loop, {function}, {{{given}}})" if asynchronous else f"{function}(**{{{given}}})"
        after = [] if "reports" in arguments or "reports" not in set_up else ["assert not reports, reports"]
        body = "\n".join(f"    {line}" for line in [*set_up.values(), call])
        body += "".join(f"\n{line}" for line in after)
        return "\n".join(
            [
                f'"""{self._case.path.parent.name}/{self._case.path.name}::{function} on {factory}."""',
                "from __future__ import annotations",
                "",
                *sorted(self._imports),
                "",
                "\n\n\n".join(self._parts.values()),
                "",
                "",
                "with contextlib.ExitStack() as stack:",
                body,
                'print("the case passes")',
                "",
            ]
        )

    def _set_up(self, needed: Mapping[str, None], factory: str, parameters: Mapping[str, str | None]) -> dict[str, str]:
        lines: dict[str, str] = {}
        for name in needed:
            self._provide(name, factory, parameters, lines)
        return lines

    def _provide(self, name: str, factory: str, parameters: Mapping[str, str | None], lines: dict[str, str]) -> None:
        if name in lines:
            return
        if name in parameters:
            expression = parameters[name]
            if expression is None:
                raise LookupError(name)
            lines[name] = f"{name} = {expression}"
        elif name == "loop_factory":
            module, _, attribute = factory.partition(":")
            self._imports[f"import {module}"] = None
            lines[name] = f"{name} = {module}.{attribute}"
        elif name == "tmp_path":
            self._imports.update({"import pathlib": None, "import tempfile": None})
            lines[name] = f"{name} = {_TMP_PATH}"
        else:
            home = self._case if name in self._case.definitions else _module(_FIXTURES)
            fixture = home.definitions[name]
            if not isinstance(fixture, ast.FunctionDef):
                raise LookupError(name)
            for argument in _arguments(fixture):
                self._provide(argument, factory, parameters, lines)
            self._carry(home, name, f"{name}_fixture")
            given = ", ".join(_arguments(fixture))
            yields = any(isinstance(part, ast.Yield) for part in ast.walk(fixture))
            made = f"{name}_fixture({given})"
            lines[name] = f"{name} = " + (
                f"stack.enter_context(contextlib.contextmanager({name}_fixture)({given}))" if yields else made
            )

    def _carry(self, module: _Module, name: str, renamed: str | None = None) -> None:
        """Take a top-level definition into the script, after all that it uses."""
        key = renamed or name
        if key in self._parts:
            return
        origin = module.origin(name)
        if origin is not None and "faultkit" in origin[0].imports:
            home, original = origin
            renamed = "" if original == name else f" as {name}"
            self._imports[f"from loopproof.authoring.{home.path.stem} import {original}{renamed}"] = None
        elif origin is not None:
            self._carry(*origin)
        elif name in module.imports:
            node = module.imports[name]
            if isinstance(node, ast.ImportFrom) and node.level:
                raise LookupError(name)
            alias = next(a for a in node.names if (a.asname or a.name.partition(".")[0]) == name)
            self._imports[ast.unparse(_narrowed(node, alias))] = None
        elif name in module.definitions:
            definition = module.definitions[name]
            self._parts[key] = ""  # so that what refers to itself ends
            for used in sorted(_names(definition)):
                self._carry(module, used)
            del self._parts[key]
            self._parts[key] = _text(module, definition, name, renamed)


def _narrowed(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> ast.stmt:
    if isinstance(node, ast.Import):
        return ast.Import(names=[alias])
    return ast.ImportFrom(module=node.module, names=[alias], level=0)


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]


def _text(module: _Module, node: Definition, name: str, renamed: str | None) -> str:
    """Return the source of a definition without the suite's own decorators; of a helper also without its docstring."""
    lines: list[str | None] = [*module.source.splitlines()]
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        first = node.body[0]
        is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        if is_docstring and len(node.body) > 1 and not name.startswith("test_"):
            lines[first.lineno - 1 : first.end_lineno] = [None] * (1 + (first.end_lineno or 0) - first.lineno)
    kept = [line for line in lines[node.lineno - 1 : node.end_lineno] if line is not None]
    if renamed:
        kept[0] = kept[0].replace(f"def {name}(", f"def {renamed}(", 1)
    return "\n".join([f"@{ast.unparse(decorator)}" for decorator in _decorators(node)] + kept)


def _decorators(node: Definition) -> list[ast.expr]:
    """Return the decorators that the script keeps: all but those that tell pytest or the suite about a case."""
    found = [] if isinstance(node, ast.Assign | ast.AnnAssign) else node.decorator_list
    telling = ("requires(", "needs(", "on_streams(", "pytest.")
    return [decorator for decorator in found if not ast.unparse(decorator).startswith(telling)]


def _names(node: Definition) -> set[str]:
    """Return the global names that a definition uses when it runs; annotations are never evaluated in the script."""
    bare = copy.copy(node)
    if not isinstance(bare, ast.Assign | ast.AnnAssign):
        bare.decorator_list = _decorators(node)
    tree = ast.Module([bare], [])
    code = compile(tree, "case", "exec", flags=__future__.annotations.compiler_flag, dont_inherit=True)
    return set(_loaded(code))


def _loaded(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _loaded(constant)
