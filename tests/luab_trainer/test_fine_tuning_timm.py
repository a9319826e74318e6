"""timm's models say themselves which parts belong together; they are frozen and adapted as others are."""

import pytest
from fixtures.adapting import check_learns_and_merges, settle
from fixtures.tiny_timm import wrapped
from fixtures.with_timm import needs_timm

from luab_vision.tested_models import TIMM, names_of

pytestmark = needs_timm


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


# These say nowhere which of their parts are blocks, so the modules to adapt are named.
TARGETS = {"poolformer_s12": ["fc1", "fc2"]}


def check_table(name):
    from luab_trainer.announcement import powerless
    from luab_trainer.config import LUABConfig
    from luab_trainer.lora import adapted
    from luab_trainer.model import LUABModel

    assert powerless(LUABModel(wrapped(name), "attention")) is None
    pixels = noise(wrapped(name))
    args = LUABConfig(
        "unused", lora_r=2, lora_targets=TARGETS.get(name), use_cpu=True, report_to="none"
    )  # fmt: skip
    check_learns_and_merges(adapted(settle(wrapped(name), pixels), 2, args), pixels)


@pytest.mark.parametrize("name", [*names_of(TIMM, "cls"), *names_of(TIMM, "map")])
def test_every_model_of_the_table_is_announced_and_merges(timm, name):
    timm(check_table, name)


def noise(model):
    import torch

    from luab_vision.tracing import sizes_of

    return torch.randn(4, 3, *sizes_of(model)[0], generator=torch.Generator().manual_seed(0))


def check_head(name, model_args, heads, kind):
    """What is trained with a frozen backbone and beside an adapter; what the point head reads."""
    import torch

    from luab_trainer.config import LUABConfig
    from luab_trainer.freezing import freeze
    from luab_trainer.lora import adapted, adapter_text
    from luab_trainer.model import LUABModel
    from luab_vision.hooks import output_linear, recorded, watch
    from luab_vision.model_attention import has_attention

    model = wrapped(name, **model_args)
    assert has_attention(model) == (kind is not None)
    luab, pixels = LUABModel(model, "both" if kind else "point").eval(), noise(model)
    linear = output_linear(model)
    watch(linear)
    logits = luab(pixels).logits
    features = recorded(linear).flatten(1)
    assert features.shape == (4, linear.weight.shape[1])
    if len(heads) == 1:
        torch.testing.assert_close(features @ linear.weight.flatten(1).T + linear.bias, logits)
    args = LUABConfig("unused", lora_r=2, lora_targets=TARGETS.get(name), use_cpu=True, report_to="none")
    adapter = adapted(settle(wrapped(name, **model_args), pixels), 2, args)
    assert adapter_text(adapter).endswith(f"; {', '.join(f'timm_model.{head}' for head in heads)} in full")
    check_learns_and_merges(adapter, pixels, "point")
    freeze(model, "backbone")
    left = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert {name.rpartition(".")[0] for name in names(model, left)} <= {
        each for head in heads for each in (head, f"{head}.fc", f"{head}.linear", f"{head}.bn")
    }


SAM = {"embed_dim": 32, "depth": 2, "num_heads": 4, "global_attn_indexes": ()}


@pytest.mark.parametrize(
    ("name", "model_args", "heads", "kind"),
    [
        ("samvit_base_patch16_224", SAM, ["head"], "map"),  # which hold their Linear inside
        ("levit_128s", {}, ["head", "head_dist"], None),
        ("deit_tiny_distilled_patch16_224", {}, ["head", "head_dist"], "cls"),
        ("dpn48b", {}, ["classifier"], "map"),  # 1 x 1 convolutions
        ("resnetv2_50", {}, ["head.fc"], "map"),
    ],
)
def test_heads_that_are_more_than_a_linear(timm, name, model_args, heads, kind):
    timm(check_head, name, model_args, heads, kind)


def refuse(name, arguments):
    from luab_trainer.config import LUABConfig
    from luab_trainer.wrapping import wrapped as wrapped_for

    args = LUABConfig("unused", use_cpu=True, report_to="none", loss="none", **arguments)
    with pytest.raises(ValueError) as error:
        wrapped_for(wrapped(name), args)
    return str(error.value)


def test_a_refusal_names_the_option(timm):
    unknown = "timm's MetaFormer does not say which of its parameters belong together"
    found = timm(refuse, "poolformer_s12", {"freeze": "1"})
    assert found.startswith(f"--freeze 1: {unknown}") and found.endswith("Take --freeze backbone.")
    found = timm(refuse, "poolformer_s12", {"lora_r": 2})
    assert unknown in found and "with --lora_targets: " in found and "fc1, fc2" in found
    assert "PEFT cannot merge its adapter into TimmWrapper" in timm(refuse, "dla34", {"lora_r": 2})
    assert "into timm_model.stages.0.0.downsample.conv" in timm(refuse, "nf_regnet_b0", {"lora_r": 2})
    found = timm(refuse, "beit_base_patch16_224", {"lora_r": 2, "lora_targets": ["qkv"]})
    assert "timm_model.blocks.1.attn.qkv would learn nothing" in found


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
