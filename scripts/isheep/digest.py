"""What a program computes, as one short digest: the reason why a changed comment reruns nothing.

A rule carries the digest of its program as a parameter. It covers the parsed source of the program and of every
module of this package that it imports, directly or not; comments, docstrings and formatting are not part of it.
"""

import ast
import hashlib
from pathlib import Path

PACKAGE = Path(__file__).parent


def program_digest(program: str | Path) -> str:
    """Return 12 hexadecimal digits that change when the program, or a library module it imports, would act differently.

    program: path of a Python file. Raises FileNotFoundError where it does not exist.
    """
    pending, trees = [Path(program)], {}
    while pending:
        path = pending.pop()
        if path not in trees:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            trees[path] = tree
            pending += _imported_modules(tree)
    digest = hashlib.sha256()
    for path in sorted(trees, key=lambda path: path.name):
        digest.update(f"{path.name}:{ast.dump(_without_docstrings(trees[path]))}\n".encode())
    return digest.hexdigest()[:12]


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
