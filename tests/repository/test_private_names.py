"""What other libraries keep private is used in the packages' `adapters/` only."""

import ast
import importlib
import inspect
import pkgutil
from enum import Enum
from pathlib import Path

import datasets
import evaluate
import pytest

from luab_data.console.missing import EXTRAS

ROOT = Path(__file__).parents[2]
OPTIONAL = {module for modules in EXTRAS.values() for module in modules}
PACKAGES = tuple(path.parent.name for path in sorted(ROOT.glob("*/py.typed")))
# Documented, whatever their names begin with: those of named tuples, os, builders of datasets, and metrics.
PUBLIC = {"_replace", "_asdict", "_fields", "_make", "_exit"}
TO_FILL_IN = {
    datasets.DatasetBuilder: {"_info", "_split_generators", "_generate_examples", "_generate_tables"},
    evaluate.Metric: {"_info", "_compute"},
}
MADE_BY_PYTHON = {"_abc_impl", "_is_protocol", "_is_runtime_protocol"}
FIX = (
    "Take a public way, or move it into an adapters/ module with a test that says when the library changes it"
)


def is_private(name):
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC and name != "_"


def sources():
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "adapters" not in path.relative_to(ROOT).parts:
                yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def defined(tree):
    """Private names that a module defines: functions, classes, variables, attributes, fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def foreign_names(trees):
    """Each private name that is used, and that none of the packages defines, or that is another library's."""
    own = {name for _, tree in trees for name in defined(tree) if is_private(name)}
    modules = {path.stem for path, _ in trees}
    for path, tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own:
                yield f"{path}:{node.lineno}: {ast.unparse(node)}"
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                parts = [*node.module.split("."), *(alias.name for alias in node.names)]
                private = set(filter(is_private, parts))
                if private and not (parts[0] in PACKAGES and private <= own | modules):
                    yield f"{path}:{node.lineno}: from {node.module} import ..."


def test_no_private_name_of_another_library_is_used():
    found = list(foreign_names(list(sources())))
    assert not found, f"{FIX}:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "line",
    ["x = rows._fingerprint", "from datasets.load import _PACKAGED", "super()._save(1)", "import_(a)._b"],
)
def test_the_scan_finds(line):
    assert list(foreign_names([(Path("luab/x.py"), ast.parse(line))]))


def classes():
    for package in map(importlib.import_module, PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            try:
                loaded = importlib.import_module(module.name)
            except ModuleNotFoundError as missing:
                if missing.name not in OPTIONAL:
                    raise
                continue
            yield from (each for _, each in inspect.getmembers(loaded, inspect.isclass))


def is_ours(cls):
    """Of the packages, but for their adapters, whose purpose it is."""
    package, *inner = cls.__module__.split(".")
    return package in PACKAGES and "adapters" not in inner


def overridden(cls):
    """Private names of a class of ours that one of another library, among its bases, has too."""
    allowed = set().union(*(names for base, names in TO_FILL_IN.items() if issubclass(cls, base)))
    theirs = [base for base in cls.__mro__ if not is_ours(base) and base is not object]
    for name in filter(is_private, vars(cls).keys() - allowed - MADE_BY_PYTHON):
        for base in theirs:
            if name in vars(base):
                yield f"{cls.__module__}.{cls.__name__}.{name}, of {base}"


def test_no_private_method_of_another_library_is_overridden():
    ours = {cls for cls in classes() if is_ours(cls) and not issubclass(cls, tuple | Enum)}
    found = sorted(text for cls in ours for text in overridden(cls))
    assert not found, f"{FIX}:\n" + "\n".join(found)
