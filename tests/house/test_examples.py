"""The examples in docstrings (`>>>`) show what the code does, each framework's in a process of its own."""

import ast
import importlib.util
import subprocess
import sys

import pytest

from tests.house.graph import FILES, ROOT, inside, module, tree

RUN = """import doctest, importlib, sys
failed = [doctest.testmod(importlib.import_module(name)).failed for name in sys.argv[1:]]
sys.exit(sum(failed) > 0)"""
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef


def with_examples() -> list[str]:
    """Modules of shared/ whose docstrings hold an example."""
    return [
        module(path)
        for path in FILES
        if inside(path).startswith("shared/") and any(map(has_example, ast.walk(tree(path))))
    ]


def has_example(node: ast.AST) -> bool:
    return isinstance(node, DOCUMENTED) and ">>> " in (ast.get_docstring(node) or "")


@pytest.mark.parametrize("paddle", [False, True], ids=["all but paddle", "paddle"])
def test_examples_of_docstrings_are_true(paddle):
    names = [name for name in with_examples() if name.startswith("shared.paddle") == paddle]
    if paddle and importlib.util.find_spec("paddle") is None:
        pytest.skip("paddle is not installed")
    done = subprocess.run([sys.executable, "-c", RUN, *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_strangers_find_examples():
    assert len(with_examples()) >= 5 and ROOT / "shared/files.py" in FILES
