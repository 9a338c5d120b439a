"""What a program computes, as one short digest: the reason why a changed comment reruns nothing.

A rule carries the digest of its program as a parameter. It covers the parsed source of the program and of every
module of this package that it imports, directly or not; comments, docstrings and formatting are not part of it.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent


def program_digest(program: str | Path) -> str:
    """Return 12 hexadecimal digits that change when the program, or a library module it imports, would act differently.

    program: path of a Python file. Raises FileNotFoundError where it does not exist.
    """
    pending, sources = [Path(program)], {}
    while pending:
        path = pending.pop()
        if path not in sources:
            sources[path], imported = _parsed(path, path.stat().st_mtime_ns)
            pending += imported
    digest = hashlib.sha256()
    for path in sorted(sources, key=lambda path: path.name):
        digest.update(f"{path.name}:{sources[path]}\n".encode())
    return digest.hexdigest()[:12]


@cache
def _parsed(path: Path, modified: int) -> tuple[str, list[Path]]:
    """Return what a file does, as text, and the library modules that it imports.

    Kept until the file is modified, since many programs share a module.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = _imported_modules(tree)
    return ast.dump(_without_docstrings(tree)), imported


def _imported_modules(tree: ast.Module) -> list[Path]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    modules = [PACKAGE / f"{name.split('.')[1]}.py" for name in names if name.startswith(f"{PACKAGE.name}.")]
    return [path for path in modules if path.exists()]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [part for part in node.body if not _is_bare_string(part)]
    return tree


def _is_bare_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
