"""`--layer_decay`: the rate of each block, by hand; the rest of the optimizer is `Trainer`'s own."""

import json

import pytest
import torch
from fixtures.small_runs import options, write_config, write_splits
from fixtures.tiny_models import tiny_model
from safetensors.torch import load_file

from luab_trainer.config import LUABConfig
from luab_trainer.model import LUABModel
from luab_trainer.run import main
from luab_trainer.trainer import LUABTrainer


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_splits(tmp_path_factory.mktemp("data"), train=24)


def trainer(folder, model, loss="both", decay=0.5, optimizers=(None, None), **arguments):
    args = LUABConfig(
        str(folder), loss=loss, layer_decay=decay, learning_rate=0.8, weight_decay=0.1, use_cpu=True,
        report_to="none", background_mix=0.0, **arguments,
    )  # fmt: skip
    return LUABTrainer(model, args, optimizers=optimizers)


def by_name(run) -> dict[str, dict]:
    optimizer = run.create_optimizer()
    group_of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    return {name: group_of[id(p)] for name, p in run.luab.named_parameters() if id(p) in group_of}


@pytest.mark.parametrize(
    ("model_type", "config", "rates"),
    [
        (
            "vit", {},
            {
                "model.vit.embeddings.cls_token": 0.1, "model.vit.layers.0.mlp.fc1.weight": 0.2,
                "model.vit.layers.1.mlp.fc1.weight": 0.4, "model.vit.layernorm.weight": 0.8,
                "model.classifier.weight": 0.8, "point.head.weight": 0.8,
            },
        ),
        (
            "convnext", {"depths": [1, 2]},
            {
                "model.convnext.embeddings.patch_embeddings.weight": 0.05,
                "model.convnext.encoder.stages.0.layers.0.pwconv1.weight": 0.1,
                "model.convnext.encoder.stages.1.downsampling_layer.1.weight": 0.2,
                "model.convnext.encoder.stages.1.layers.0.pwconv1.weight": 0.2,
                "model.convnext.encoder.stages.1.layers.1.pwconv1.weight": 0.4,
                "model.convnext.layernorm.weight": 0.8, "model.classifier.weight": 0.8,
            },
        ),
    ],
)  # fmt: skip
def test_each_block_has_its_rate(tmp_path, model_type, config, rates):
    groups = by_name(trainer(tmp_path, tiny_model(model_type, **config)))
    assert {name: groups[name]["lr"] for name in rates} == pytest.approx(rates)


@pytest.mark.parametrize("optim", ["adamw_torch", "sgd", "adafactor", "rmsprop", "adagrad"])
def test_every_optimizer_keeps_what_else_its_groups_say(tmp_path, optim):
    model = tiny_model("vit")
    groups = by_name(trainer(tmp_path, model, optim=optim))
    plain = by_name(trainer(tmp_path, model, decay=None, optim=optim))
    assert groups.keys() == plain.keys()
    for name, group in groups.items():
        without = {key: value for key, value in plain[name].items() if key not in ("params", "lr")}
        assert {key: value for key, value in group.items() if key not in ("params", "lr")} == without
    assert {group["weight_decay"] for group in groups.values()} == {0.0, 0.1}
    assert sorted({group["lr"] for group in groups.values()}) == pytest.approx([0.1, 0.2, 0.4, 0.8])


def test_it_goes_with_frozen_blocks(tmp_path):
    run = trainer(tmp_path, tiny_model("vit"), freeze="1")
    groups = by_name(run)
    assert not any("embeddings" in name or "layers.0" in name for name in groups)
    assert groups["model.vit.layers.1.mlp.fc1.weight"]["lr"] == pytest.approx(0.4)
    assert run.optimizer.param_groups[0]["lr"] == 0.8, "the rate that is logged"


def test_a_step_of_sgd_is_as_long_as_the_rate(tmp_path, data):
    """The weights move by rate * gradient: 4 times as far in the last block as in the stem."""
    config = write_config(tmp_path / "config")
    moved = {}
    for decay in (1, 0.5):
        more = {"optim": "sgd", "max_grad_norm": 0, "lr_scheduler_type": "constant", "weight_decay": 0}
        main(options(config, data, tmp_path / f"{decay}", layer_decay=decay, max_steps=1, **more))
        main(options(config, data, tmp_path / "start", max_steps=1, **{**more, "learning_rate": 0}))
        after, before = (load_file(tmp_path / name / "model.safetensors") for name in (f"{decay}", "start"))
        moved[decay] = {name: after[name].double() - before[name].double() for name in after}
    expected = {"1.intermediate.dense.weight": 0.5, "cls_token": 0.125, "classifier.weight": 1.0}
    for name, share in expected.items():
        found = [key for key in moved[1] if key.endswith(name)][-1]
        ratio = moved[0.5][found].norm() / moved[1][found].norm()
        assert ratio.item() == pytest.approx(share, rel=1e-3), found


def test_a_run_resumes_with_its_rates(tmp_path, data, capsys):
    config = write_config(tmp_path / "config", "swin")
    more = {"layer_decay": 0.75, "save_strategy": "steps", "save_steps": 2, "max_steps": 4}
    main(options(config, data, tmp_path / "whole", **more))
    assert (
        "layer decay               0.75 a block: learning rates 0.000422 at the input to 0.001 at the "
        in (capsys.readouterr().out)
    )
    again = tmp_path / "resumed"
    again.mkdir()
    (tmp_path / "whole" / "checkpoint-2").rename(again / "checkpoint-2")
    main(options(config, data, again, resume_from_checkpoint="true", **more))
    whole, resumed = (
        json.loads((folder / "checkpoint-4" / "trainer_state.json").read_text())["log_history"]
        for folder in (tmp_path / "whole", again)
    )
    assert [entry["loss"] for entry in resumed] == pytest.approx([entry["loss"] for entry in whole], rel=1e-6)
    assert [entry["learning_rate"] for entry in whole] == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])
    with pytest.raises(SystemExit, match=r"--layer_decay is 0.5, the checkpoint's is 0.75"):
        main(options(config, data, again, resume_from_checkpoint="true", **{**more, "layer_decay": 0.5}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer_decay": 0.0}, "--layer_decay 0.0: give a factor"),
        ({"layer_decay": 1.5}, "--layer_decay 1.5: give a factor"),
        ({"layer_decay": 0.5, "optim": "adalomo"}, "does not go with --optim adalomo"),
        ({"layer_decay": 0.5, "optim": "galore_adamw_layerwise"}, "at one rate; take adamw_torch"),
        ({"layer_decay": 0.5, "freeze": "backbone"}, "does nothing with --freeze backbone"),
    ],
)
def test_what_it_does_not_go_with_is_refused(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        LUABConfig(str(tmp_path), **arguments)


def test_it_is_refused_where_all_that_is_trained_has_one_rate(tmp_path):
    blocks = tiny_model("vit").config.num_hidden_layers
    with pytest.raises(ValueError, match=r"layer_decay=0\.5 does nothing: only what follows the last block"):
        trainer(tmp_path, tiny_model("vit"), freeze=str(blocks))
    trainer(tmp_path, tiny_model("vit"), freeze=str(blocks - 1))


def test_a_trainer_that_only_evaluates_has_no_rates(tmp_path):
    """Nor does it freeze or adapt anything, so it does not train."""
    model = tiny_model("vit")
    own = torch.optim.SGD(model.parameters(), lr=1.0)
    more = {"do_train": False, "freeze": "99", "optimizers": (own, None)}
    for each in (model, LUABModel(tiny_model("vit"), "both")):
        run = trainer(tmp_path, each, **more)
        assert all(parameter.requires_grad for parameter in run.luab.parameters())
        with pytest.raises(ValueError, match="do_train=False makes a trainer that only evaluates"):
            run.train()


def test_an_optimizer_of_the_users_own_is_refused(tmp_path):
    model = tiny_model("vit")
    own = torch.optim.SGD(model.parameters(), lr=1.0)
    with pytest.raises(ValueError, match="does not go with optimizers: set the rates there"):
        trainer(tmp_path, model, optimizers=(own, None))
