"""timm's models say themselves which parts belong together; they are frozen and adapted as others are."""

import pytest
from fixtures.tiny_timm import process_with_timm, wrapped
from fixtures.with_timm import needs_timm

pytestmark = needs_timm


@pytest.fixture(scope="module")
def timm():
    """Runs a function of this module in a process with timm, and raises what it raises."""
    with process_with_timm() as process:
        yield lambda function, *arguments: process.submit(function, *arguments).result()


def names(model, parameters):
    of = {id(parameter): name for name, parameter in model.named_parameters()}
    return [of[id(parameter)].removeprefix("timm_model.") for parameter in parameters]


def check_depth(name, unit, stages, blocks, stem, head):
    from luab_trainer.depth import depth_of, head_parameters
    from luab_trainer.freezing import freeze

    model = wrapped(name)
    depth = depth_of(model)
    assert (depth.unit, len(depth.stages) - 2, len(depth.blocks) - 2) == (unit, stages, blocks)
    every = sorted(id(parameter) for parameter in model.parameters())
    for parts in (depth.stages, depth.blocks):
        assert sorted(id(parameter) for part in parts for parameter in part) == every
    assert {each.split(".")[0] for each in names(model, depth.stages[0])} == stem
    assert names(model, head_parameters(model)) == [f"{head}.weight", f"{head}.bias"]
    freeze(model, "backbone")
    left = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert names(model, left) == [f"{head}.weight", f"{head}.bias"]


@pytest.mark.parametrize(
    "expected",
    [
        ("vit_tiny_patch16_224", "blocks", 2, 2, {"cls_token", "pos_embed", "patch_embed"}, "head"),
        ("resnet18", "stages", 4, 8, {"conv1", "bn1"}, "fc"),
        ("convnext_atto", "blocks", 4, 4, {"stem"}, "head.fc"),
    ],
    ids=lambda expected: expected[0],
)
def test_the_parts_are_those_that_timm_says(timm, expected):
    timm(check_depth, *expected)


def check_adapter_trains(name, kinds):
    import torch

    from luab_trainer.config import LUABConfig
    from luab_trainer.lora import adapted, adapter_text, check_adapter, merged
    from luab_trainer.model import LUABModel
    from luab_vision.tracing import sizes_of

    args = LUABConfig("unused", lora_r=2, use_cpu=True, report_to="none")
    model = adapted(wrapped(name), 2, args)
    check_adapter(model)
    assert f"({kinds})" in adapter_text(model)
    luab = LUABModel(model, "both")
    labels = torch.tensor([0, 1])
    pixels = torch.randn(2, 3, *sizes_of(wrapped(name))[0], generator=torch.Generator().manual_seed(0))
    batch = {
        "labels": labels, "target_points": torch.full((2, 1, 1, 2), 0.2),
        "target_weights": torch.ones(2, 1, 1), "target_labels": labels[:, None],
    }  # fmt: skip
    luab.eval()
    before = LUABModel(wrapped(name), "attention").eval()(pixels, **batch).terms["attention"]
    torch.testing.assert_close(luab(pixels, **batch).terms["attention"], before, rtol=1e-4, atol=1e-5)
    optimizer = torch.optim.SGD([p for p in luab.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        luab(pixels, **batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    whole = merged(model).eval()
    assert type(whole).__name__ == "TimmWrapperForImageClassification"
    assert not any("lora_" in key for key in whole.state_dict())
    torch.testing.assert_close(whole(pixels).logits, luab(pixels).logits, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(whole(pixels).logits, wrapped(name).eval()(pixels).logits, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("vit_tiny_patch16_224", "fc1, fc2, proj, qkv"),
        ("swin_tiny_patch4_window7_224", "fc1, fc2, proj, qkv, reduction"),
        ("resnet18", "0, conv1, conv2"),
    ],
)
def test_an_adapter_trains_and_merges(timm, name, kinds):
    timm(check_adapter_trains, name, kinds)
