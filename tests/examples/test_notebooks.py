"""The notebooks in examples/: their cells run from top to bottom, and git holds none of their outputs."""

import json
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_git_holds_no_outputs(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["metadata"].keys() == {"kernelspec", "language_info"}
    assert notebook["metadata"]["language_info"] == {"name": "python"}
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        assert cell.get("outputs", []) == [] and cell.get("execution_count") is None
        assert len(cell["source"]) <= 40, "a cell is one thought"


def outputs_of(name: str, folder: Path, **smaller: int) -> tuple[str, str]:
    """What the notebook shows when it is run in an empty folder: its text, and its HTML.

    `smaller`: values for arguments in its cells.
    """
    nbformat = pytest.importorskip("nbformat", reason="pip install 'luab[test]'")
    nbclient = pytest.importorskip("nbclient", reason="pip install 'luab[test]'")
    pytest.importorskip("ipykernel", reason="pip install 'luab[test]'")
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    for argument, value in smaller.items():
        (cell,) = (cell for cell in notebook.cells if re.search(rf"\b{argument}=\d", cell.source))
        cell.source = re.sub(rf"\b{argument}=\d+", f"{argument}={value}", cell.source)
    nbclient.NotebookClient(
        notebook, timeout=500, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    data = [output.get("data", {}) for output in outputs]
    text = [output.get("text", "") for output in outputs] + [each.get("text/plain", "") for each in data]
    return "\n".join(text), "\n".join(each.get("text/html", "") for each in data)


def test_the_byproducts_are_shown(tmp_path):
    text, html = outputs_of("look_at_byproducts", tmp_path)
    assert "'click': 4" in text  # Counter: 40 or more of the 48 rows
    assert "inside a box of their class" in text and "outside" in text
    inside, anywhere = (float(share) for share in re.findall(r"([\d.]+)% (?:inside a box|anywhere)", text))
    assert inside > 80 > 50 > anywhere
    assert html.count("<img") >= 3 + 3 * 2 + 2 and "training crop, target within 0.25 of the trace" in html
    assert not list(tmp_path.iterdir())


def test_with_clicks_a_model_looks_at_the_object(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where the notebook's folder goes
    sizes = {"images_per_class": 50, "evaluation_images_per_class": 24}
    text, html = outputs_of("train_and_compare", tmp_path, **sizes)
    (pointing,) = re.findall(r"^Pointing game \(swapped\) .*?↑ +([\d.]+) +([\d.]+) ", text, re.MULTILINE)
    plain, luab = map(float, pointing)
    assert luab > 80 and luab > plain + 5
    assert "larger than chance" in text
    assert html.count("<img") >= 3 + 3 * 4 and "luab: " in html
