"""The parts of a classifier by depth, found in its module structure."""

import pytest
from fixtures.tiny_models import tiny_model
from torch import nn

from luab_trainer.depth import depth_of, head_parameters

STAGES = {
    "convnext": {"depths": [1, 3]}, "convnextv2": {"depths": [1, 3]}, "resnet": {"depths": [2, 2]},
    "swin": {"depths": [1, 3]}, "swinv2": {"depths": [2, 2]},
}  # fmt: skip


def names(model, parameters) -> list[str]:
    of = {id(parameter): name for name, parameter in model.named_parameters()}
    return [of[id(parameter)] for parameter in parameters]


@pytest.mark.parametrize(
    ("model_type", "stack", "stages", "blocks"),
    [
        ("vit", "vit.layers", 2, 2),
        ("deit", "deit.layers", 2, 2),
        ("dinov2", "dinov2.encoder.layer", 2, 2),
        ("dinov2_with_registers", "dinov2_with_registers.encoder.layer", 2, 2),
        ("beit", "beit.layers", 2, 2),
        ("vit_msn", "vit.layers", 2, 2),
        ("convnext", "convnext.encoder.stages", 2, 4),
        ("convnextv2", "convnextv2.encoder.stages", 2, 4),
        ("mobilenet_v1", "mobilenet_v1.layer", 26, 26),
        ("resnet", "resnet.encoder.stages", 2, 4),
        ("swin", "swin.encoder.layers", 2, 4),
        ("swinv2", "swinv2.encoder.layers", 2, 4),
        ("mobilevit", "mobilevit.encoder.layer", 5, 13),
        ("poolformer", "poolformer.encoder.block", 4, 4),
    ],
)
def test_the_parts_of_every_family(model_type, stack, stages, blocks):
    model = tiny_model(model_type, **STAGES.get(model_type, {}))
    depth = depth_of(model)
    assert (depth.name, len(depth.stages) - 2, len(depth.blocks) - 2) == (stack, stages, blocks)
    nested = stages < blocks or model_type == "poolformer"
    assert depth.unit == ("stages" if nested else "blocks")
    every = sorted(id(parameter) for parameter in model.parameters())
    for parts in (depth.stages, depth.blocks):
        assert sorted(id(parameter) for part in parts for parameter in part) == every
        assert all(part for part in parts[1:])
        for number, part in enumerate(parts):
            inside = [name.startswith(f"{stack}.") for name in names(model, part)]
            if model_type != "poolformer":  # whose embeddings are in a list beside it
                assert inside == [0 < number < len(parts) - 1] * len(inside)
    assert names(model, depth.stages[-1])[-1].startswith("classifier")
    assert all(name.startswith(("classifier", "norm")) for name in names(model, head_parameters(model)))


def test_a_stage_is_its_blocks_in_order():
    model = tiny_model("convnext", depths=[1, 2])
    first, second, third = (names(model, part) for part in depth_of(model).blocks[1:-1])
    assert all(name.startswith("convnext.encoder.stages.0.") for name in first)
    assert {".".join(name.split(".")[3:6]) for name in second if "layers" in name.split(".")} == {
        "1.layers.0"
    }
    assert any("downsampling_layer" in name for name in second), "which comes before it"
    assert all(name.startswith("convnext.encoder.stages.1.layers.1.") for name in third)


def test_a_merging_of_patches_belongs_to_the_block_before_it():
    model = tiny_model("swin", depths=[2, 1])
    first, second, third = (names(model, part) for part in depth_of(model).blocks[1:-1])
    assert not any("downsample" in name for name in first + third)
    assert any("downsample" in name for name in second)


def test_a_list_beside_the_stages_belongs_to_them():
    model = tiny_model("poolformer")
    for number, part in enumerate(depth_of(model).stages[1:-1]):
        heads = {".".join(name.split(".")[2:4]) for name in names(model, part)}
        assert heads == {f"patch_embeddings.{number}", f"block.{number}"}


def test_blocks_in_several_lists_are_refused():
    model = tiny_model("resnet")
    model.resnet.encoder = nn.ModuleDict({"one": nn.Sequential(nn.Linear(9, 9)), "two": nn.ModuleList()})
    model.resnet.encoder["two"].extend([nn.Linear(9, 9), nn.Linear(9, 9)])
    with pytest.raises(ValueError, match="blocks of ResNetForImageClassification are not in one list"):
        depth_of(model)
