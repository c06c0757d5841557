"""Rules of the house that a program can measure: lengths of files and functions, docstrings and names of types.

Every function takes the folder of the package, so that a test can plant a fault in a copy and see it named.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

LONGEST_FILE: Final = 300
LONGEST_FUNCTION: Final = 30
"""Lines of code of a function, without its docstring."""
REASON: Final = re.compile(r"\bLong: \S+")
"""What the first line of a file says when the file, or a function in it, is longer than that."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules(package: Path) -> Iterator[Path]:
    """Every module of a package but the migrations, which are history."""
    yield from sorted(path for path in package.rglob("*.py") if "versions" not in path.parts)


@cache
def _parsed(text: str) -> ast.Module:
    """The tree of a module; copies of the package share it."""
    return ast.parse(text)


def has_reason(path: Path) -> bool:
    """Whether the first line of a file says why the file, or a function in it, is long."""
    first, *_ = path.read_text(encoding="utf-8").splitlines() or [""]
    return REASON.search(first) is not None


def long_files(package: Path) -> dict[str, int]:
    """Module -> lines, of the modules that are longer than the rule."""
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules(package)}
    return {str(path.relative_to(package)): count for path, count in lengths.items() if count > LONGEST_FILE}


def long_functions(package: Path) -> dict[str, int]:
    """`module:function` -> lines of code, of the functions that are longer than the rule."""
    return {
        f"{path.relative_to(package)}:{name}": length
        for path in modules(package)
        for name, length in _long_functions(path.read_text(encoding="utf-8"))
    }


@cache
def _long_functions(text: str) -> list[tuple[str, int]]:
    functions = [node for node in ast.walk(_parsed(text)) if isinstance(node, Function)]
    return [(one.name, length) for one in functions if (length := _lines(one)) > LONGEST_FUNCTION]


def without_reason(package: Path) -> list[str]:
    """Long files, and modules of long functions, whose first line gives no reason."""
    long = [*long_files(package), *(name.partition(":")[0] for name in long_functions(package))]
    return sorted({name for name in long if not has_reason(package / name)})


def _lines(function: Function) -> int:
    assert function.end_lineno is not None
    docstring = function.body[0] if ast.get_docstring(function, clean=False) is not None else None
    spent = (docstring.end_lineno or 0) - docstring.lineno + 1 if docstring is not None else 0
    return function.end_lineno - function.lineno + 1 - spent


def public_functions(package: Path) -> Iterator[tuple[str, str | None]]:
    """`module:name` and docstring of each public function and method."""
    for path in modules(package):
        tree = _parsed(path.read_text(encoding="utf-8"))
        for name, function in _public(tree):
            yield f"{path.relative_to(package)}:{name}", ast.get_docstring(function)


def _public(node: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Function]]:
    for child in node.body:
        if isinstance(child, Function) and not child.name.startswith("_"):
            yield f"{prefix}{child.name}", child
        elif isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from _public(child, f"{prefix}{child.name}.")


def repeats_the_signature(name: str, docstring: str) -> bool:
    """Whether a docstring holds no word that the name of its function does not hold."""
    words = set(re.findall(r"[a-z]+", docstring.lower())) - {"the", "a", "an", "of", "to", "and", "for", "is", "this"}
    return bool(words) and words <= set(re.findall(r"[a-z]+", name.rpartition(":")[2].lower().replace("_", " ")))
