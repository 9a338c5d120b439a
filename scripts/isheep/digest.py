"""What a program computes, as one short digest: the reason why a changed comment reruns nothing.

A rule carries the digest of its program as a parameter. It covers the parsed source of the program and of every
module of this package that it imports, directly or not; comments, docstrings and formatting are not part of it.
"""

import ast
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from isheep.files.records import write_json
from isheep.project import PROJECT

PACKAGE = Path(__file__).parent
KNOWN = PACKAGE / "__pycache__" / "digests.json"
"""What was found in sources before, by their checksum: parsing all of them takes a second of every start."""


def program_digest(program: str | Path) -> str:
    """Return 12 hexadecimal digits that change when the program, or a library module it imports, would act differently.

    program: path of a Python file, relative to the project. Raises FileNotFoundError where it does not exist.
    """
    pending, sources, known = [PROJECT / program], {}, len(_known())
    while pending:
        path = pending.pop()
        if path not in sources:
            sources[path], imported = _parsed(path.read_bytes())
            pending += [module for name in imported for module in _modules_of(name)]
    if len(_known()) > known:
        with suppress(OSError):  # a folder that is not ours to write in
            KNOWN.parent.mkdir(exist_ok=True)
            write_json(KNOWN, _known())
    digest = hashlib.sha256()
    named = {os.path.relpath(path, PACKAGE.parent): checksum for path, checksum in sources.items()}
    for name, checksum in sorted(named.items()):
        digest.update(f"{name}:{checksum}\n".encode())
    return digest.hexdigest()[:12]


@cache
def _parsed(source: bytes) -> tuple[str, list[str]]:
    """Return a checksum of what a source does, and what it imports of this package."""
    known = _known()
    key = hashlib.sha256(f"{sys.version_info[:2]}".encode() + source).hexdigest()
    if key not in known:
        tree = ast.parse(source)
        imported = _imported_modules(tree)
        known[key] = hashlib.sha256(ast.dump(_without_docstrings(tree)).encode()).hexdigest(), imported
    return known[key]


@cache
def _known() -> dict[str, tuple[str, list[str]]]:
    try:
        return json.loads(KNOWN.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _imported_modules(tree: ast.Module) -> list[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return sorted(name for name in names if name.startswith(f"{PACKAGE.name}."))


def _modules_of(name: str) -> Iterator[Path]:
    """Yield the files that are run where this dotted name is imported, which may be one of something in a module."""
    path = PACKAGE
    for part in name.split(".")[1:]:
        path /= part
        yield from filter(Path.is_file, (path / "__init__.py", path.with_suffix(".py")))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [part for part in node.body if not _is_bare_string(part)]
    return tree


def _is_bare_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
