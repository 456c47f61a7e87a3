"""The cases as their source tells them, without importing or running any: which there are and what they prove."""

import ast
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import ROOT


@dataclass(frozen=True)
class CaseInfo:
    """A case. ``id`` is without parameters, ``path`` and ``line`` tell where it is defined, ``doc`` is one sentence."""

    id: str
    area: str
    requirements: tuple[str, ...]
    needs: tuple[str, ...]
    doc: str
    path: Path
    line: int


@functools.cache
def load(root: Path = ROOT) -> Mapping[str, CaseInfo]:
    """Return all cases by id, in the order of areas, files and lines."""
    return {case.id: case for path in sorted(root.glob("*/test_*.py")) for case in _cases(path, root)}


def exists(case: str, root: Path = ROOT) -> bool:
    """Tell whether there is a case of this id; parameters in brackets are not looked at."""
    path, _, name = case.partition("[")[0].partition("::")
    file = root / path
    if path.count("/") != 1 or not file.is_file():
        return False
    return any(found.id == f"{path}::{name}" for found in _cases(file, root))


@functools.cache
def _cases(path: Path, root: Path) -> list[CaseInfo]:
    found = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            place = path.relative_to(root).as_posix()
            found.append(
                CaseInfo(
                    id=f"{place}::{node.name}",
                    area=place.partition("/")[0],
                    requirements=_marked(node, "requires"),
                    needs=_marked(node, "needs"),
                    doc=(ast.get_docstring(node) or "").partition("\n")[0],
                    path=path,
                    line=node.lineno,
                )
            )
    return found


def _marked(node: ast.FunctionDef | ast.AsyncFunctionDef, mark: str) -> tuple[str, ...]:
    """Return the literal arguments of the decorators called ``mark``."""
    return tuple(
        argument.value
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == mark
        for argument in decorator.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    )
