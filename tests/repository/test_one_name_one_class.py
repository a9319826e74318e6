"""One class name is one class: a reader who searches for a name finds the one thing that it is."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
# `evaluate` calls a metric as its class is called; these folders are loaded by path, each alone.
METRICS = ROOT / "luab_eval" / "metrics"


def test_no_two_classes_have_one_name():
    places = defaultdict(list)
    for package in sorted(path.parent for path in ROOT.glob("*/py.typed")):
        for path in sorted(package.rglob("*.py")):
            if METRICS not in path.parents:
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                    if isinstance(node, ast.ClassDef):
                        places[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert not twice, f"rename one of them: {twice}"
