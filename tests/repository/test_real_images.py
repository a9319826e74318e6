"""A checkout alone proves what real images prove: a test on these also runs on a release that it wrote."""

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
RELEASES = TESTS / "fixtures" / "releases.py"


def test_only_the_releases_look_beside_the_checkout():
    for file in TESTS.rglob("*.py"):
        if file not in (RELEASES, Path(__file__)):
            assert '"shared"' not in file.read_text(encoding="utf-8"), f"{file}: take a release's fixture"


def test_a_release_that_may_be_absent_has_a_written_twin():
    tree = ast.parse(RELEASES.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    using = [node for node in functions if any(_names(part, "_shared") for part in ast.walk(node))]
    assert len(using) >= 3
    for function in using:
        assert [ast.unparse(decorator) for decorator in function.decorator_list] == ["on_both"], function.name
    assert "params=[WRITTEN, REAL]" in ast.unparse(tree)


def _names(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
