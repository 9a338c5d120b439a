"""What a program computes, as one short digest: the reason why a changed comment reruns nothing.

A rule carries the digest of its program as a parameter. It covers the parsed source of the program and of every
module of this package that it imports, directly or not; comments, docstrings and formatting are not part of it.
"""

import ast
import hashlib
import json
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from isheep.project import PROJECT
from isheep.records import write_json

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
            pending += [module for name in imported if (module := PACKAGE / f"{name}.py").exists()]
    if len(_known()) > known:
        with suppress(OSError):  # a folder that is not ours to write in
            KNOWN.parent.mkdir(exist_ok=True)
            write_json(KNOWN, _known())
    digest = hashlib.sha256()
    for path in sorted(sources, key=lambda path: path.name):
        digest.update(f"{path.name}:{sources[path]}\n".encode())
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
    return sorted({name.split(".")[1] for name in names if name.startswith(f"{PACKAGE.name}.")})


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [part for part in node.body if not _is_bare_string(part)]
    return tree


def _is_bare_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
