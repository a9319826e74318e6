"""`--attention_layers` and `--attention_heads`: the loss is on these alone, and the run says so."""

import pytest
import torch
from fixtures.small_runs import options, write_config, write_splits
from fixtures.tiny_models import images, tiny_model

from luab_trainer.config import LUABConfig
from luab_trainer.model import LUABModel
from luab_trainer.run import main


def attention_term(luab):
    labels = torch.tensor([0, 1, 2, 3])
    points = torch.rand(4, 1, 1, 2, generator=torch.Generator().manual_seed(2))
    return luab(images(), labels, points, torch.ones(4, 1, 1), labels[:, None]).terms["attention"].sum()


def luab_of(model, **choice):
    return LUABModel(model, "attention", attention_tolerance=0.0, **choice)


def test_the_loss_reaches_the_chosen_heads_of_the_chosen_layers():
    luab = luab_of(tiny_model("vit"), attention_layers="last1", attention_heads="1,3")
    attention_term(luab).backward()
    first, last = (layer.attention.k_proj.weight.grad.unflatten(0, (4, 8)) for layer in luab.model.vit.layers)
    moved = last.abs().sum((1, 2))
    assert moved[[1, 3]].min() > 1e-6
    assert moved[[0, 2]].max() == 0, "no gradient of the other heads"
    assert first.abs().sum() > 0, "what the last layer reads comes from the first"
    luab = luab_of(tiny_model("vit"), attention_layers="0")
    attention_term(luab).backward()
    assert luab.model.vit.layers[1].attention.k_proj.weight.grad is None, "no gradient of the other layer"


def test_two_losses_of_one_model_ask_what_is_theirs():
    model = tiny_model("vit").eval()
    some, every = luab_of(model, attention_layers="last1"), luab_of(model)
    values = attention_term(some), attention_term(every)
    assert values[0] != values[1]
    assert (attention_term(some), attention_term(every)) == values
    assert some.spatial.chosen == {"layers": (1,)}
    assert every.spatial.chosen == {}
    assert luab_of(model, attention_layers="1,0", attention_heads="0,1,2,3").spatial.chosen == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attention_layers": "last0"}, r"--attention_layers last0: give all, lastN \(last4\) or numbers"),
        ({"attention_layers": "-1"}, "--attention_layers -1: give all"),
        ({"attention_heads": "0;1"}, "--attention_heads 0;1: give all or numbers from 0"),
        ({"attention_layers": "last1", "loss": "point"}, "does nothing with --loss point"),
        ({"attention_heads": "0", "loss": "none"}, "does nothing with --loss none"),
    ],
)
def test_a_choice_that_cannot_be_meant(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        LUABConfig(str(tmp_path), use_cpu=True, **arguments)


def test_a_run_says_which_and_resumes_only_with_the_same(tmp_path, capsys):
    data, config = write_splits(tmp_path / "data", train=16), write_config(tmp_path / "config")
    saved = {"loss": "attention", "do_eval": False, "save_strategy": "steps", "save_steps": 1}
    again = {**saved, "max_steps": 2, "resume_from_checkpoint": True}
    some = {"attention_layers": "last1", "attention_heads": "0,2"}
    main(options(config, data, tmp_path / "some", **saved, **some))
    said = "form=hinge, radius=0.25, tolerance=0.5; layers 1; heads 0, 2"
    assert said in capsys.readouterr().out
    assert said in (tmp_path / "some" / "README.md").read_text()
    with pytest.raises(SystemExit, match=r"--attention_layers is not set, the checkpoint's is \[1\]"):
        main(options(config, data, tmp_path / "some", **again))
    main(options(config, data, tmp_path / "some", **again, attention_layers="1", attention_heads="0,2"))
    main(options(config, data, tmp_path / "every", **saved))
    main(options(config, data, tmp_path / "every", **again, attention_layers="last2"))  # all there are


def test_layers_that_the_model_does_not_have_end_the_run_before_it_starts(tmp_path):
    data, config = write_splits(tmp_path / "data", train=8), write_config(tmp_path / "config")
    with pytest.raises(SystemExit, match="--attention_layers last4: the model has 2 layers, numbered 0 to 1"):
        main(options(config, data, tmp_path / "out", attention_layers="last4"))
    config = write_config(tmp_path / "map", "convnext")
    with pytest.raises(SystemExit, match=r"--attention_heads 0: where ConvNextFor.* has no layers and no"):
        main(options(config, data, tmp_path / "out", attention_heads="0"))
