"""Commands and readers that are modules of a folder, found by their file names."""

import ast
from pathlib import Path


def summaries(folder: Path) -> dict[str, str]:
    """Module name -> first line of its docstring, without the period; modules are not imported.

    Names that begin with `_` are left out.
    """
    files = sorted(path for path in folder.glob("*.py") if not path.stem.startswith("_"))
    return {
        path.stem: (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
        .partition("\n")[0]
        .rstrip(".")
        for path in files
    }
