"""`luab models`: the table that docs/models.md has too, and how a checkpoint is asked where it looks."""

from pathlib import Path

import pytest
from fixtures.tiny_models import tiny_model

from luab.commands.models import main
from luab_vision.processors import square_processor
from luab_vision.tested_models import KINDS, TESTED, table

DOCS = Path(__file__).parents[2] / "docs" / "models.md"


def test_the_table_of_the_docs_is_the_commands(capsys):
    assert main([]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for library, names, where in table():
        assert f"{library}, {where}: {names}" in shown
    rows = [
        line
        for line in DOCS.read_text(encoding="utf-8").splitlines()
        if line.startswith(("| transf", "| timm"))
    ]
    assert rows == [f"| {' | '.join(row)} |" for row in table()]


def test_each_model_is_in_one_row():
    named = [(row.library, name) for row in TESTED for name in row.names]
    assert len(named) == len(set(named))
    assert {row.where for row in TESTED} == KINDS.keys()


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for model_type in ("vit", "convnext", "clip", "swiftformer"):
        tiny_model(model_type).save_pretrained(model_type)
        square_processor(64 if model_type == "swiftformer" else 32).save_pretrained(model_type)


def test_a_checkpoint_says_where_it_looks(checkpoints, capsys):
    assert main(["--model", "vit", "convnext", "clip"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "vit: attention of the class token, 2 layers (vit.layers.0.attention, vit.layers.1.attention)",
        "convnext: class-activation map of the output of convnext (last_hidden_state), channels first; the "
        "norm convnext.layernorm is folded in",
        "clip: class-activation map of the output of vision_model (last_hidden_state), tokens without the "
        "first 1 token",
    ]


def test_a_checkpoint_that_cannot_say_says_why(checkpoints, capsys):
    assert main(["--model", "vit", "swiftformer"]) == 1
    assert "swiftformer: not known: its logits are the mean of head and dist_head" in capsys.readouterr().out
    assert main(["--model", "absent"]) == 1
    assert "--model absent" in capsys.readouterr().err
