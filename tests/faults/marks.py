"""Which test bears which row's number, read from the sources without running anything."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).resolve().parents[1]


class Test(NamedTuple):
    """A test function; ``path`` is below ``tests/``."""

    path: str
    name: str

    @property
    def lab(self) -> bool:
        """Whether it needs real hosts."""
        return self.path.startswith("lab/")


def collect(root: Path = TESTS) -> dict[str, list[Test]]:
    """The tests of each row, in the order of their paths and lines."""
    found: dict[str, list[Test]] = {}
    for path in sorted(root.rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                for number in filter(None, map(_number, node.decorator_list)):
                    found.setdefault(number, []).append(Test(str(path.relative_to(root)), node.name))
    return found


def _number(decorator: ast.expr) -> str | None:
    if not isinstance(decorator, ast.Call) or not ast.unparse(decorator.func).endswith("mark.fault"):
        return None
    return str(ast.literal_eval(decorator.args[0]))
