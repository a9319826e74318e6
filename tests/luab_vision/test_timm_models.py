"""Where models of timm look, wrapped by transformers and plain: each of the table, in a process with timm."""

import copy

import pytest
import torch
from fixtures.tiny_timm import CLASSES, wrapped
from fixtures.with_timm import needs_timm
from torch import nn
from torch.overrides import TorchFunctionMode

from luab_vision.tested_models import TIMM, names_of

pytestmark = needs_timm
CLS, MAP = names_of(TIMM, "cls"), names_of(TIMM, "map")


def noise(model, batch=2):
    from luab_vision.tracing import sizes_of

    height, width = sizes_of(model)[0]
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def look(model, pixel_values, *which):
    """The attention for class 3, and the logits, of a model of timm or its wrapper."""
    from luab_vision.model_attention import spatial_attention

    attention = spatial_attention(model, *which)
    attention.watch(model)
    output = model(pixel_values)
    logits = output if isinstance(output, torch.Tensor) else output.logits
    classes = torch.full((len(pixel_values), 1), 3)
    return attention.maps(model, tuple(pixel_values.shape[-2:]), classes), logits


class Softmaxes(TorchFunctionMode):
    """Keeps each softmax that timm computes itself, where its fused attention is off."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func in (torch.Tensor.softmax, nn.functional.softmax, torch.softmax):
            self.kept.append(result)
        return result


def check_cls(name):
    from timm.layers import set_fused_attn

    from luab_vision.model_attention import has_attention, readout_of

    model = wrapped(name).eval()
    kinds = [type(module) for module in model.modules()]
    assert has_attention(model)
    assert [type(module) for module in model.modules()] == kinds, "nothing is recorded yet"
    pixel_values = noise(model)
    plain = model(pixel_values).logits
    found, logits = look(model, pixel_values)
    assert torch.equal(logits, plain), "recording changes nothing"
    readout = readout_of(model)
    try:
        set_fused_attn(False)
        eager = wrapped(name).eval()
    finally:
        set_fused_attn(True)
    with Softmaxes() as softmaxes:
        torch.testing.assert_close(eager(pixel_values).logits, logits, atol=1e-4, rtol=1e-4)
    tokens = readout.place.prefix + found[0, 0, 0].numel()
    rows = [each for each in softmaxes.kept if each.ndim == 4 and each.shape[-1] == tokens]
    if readout.kind == "attention pooling":
        rows = [each for each in rows if each.shape[2] == 1]
    expected = torch.stack([each[:, :, : readout.class_tokens].mean((1, 2)) for each in rows], 1)
    expected = expected[..., readout.place.prefix :]
    expected = (expected / expected.sum(-1, keepdim=True)).view_as(found[:, 0])
    torch.testing.assert_close(found[:, 0], expected, atol=1e-5, rtol=1e-4)
    assert found.flatten(2).std(dim=2).min() > 1e-5, "the test wants attention that is not even"
    return found.shape[2]


@pytest.mark.parametrize("name", CLS)
def test_cls_attention_equals_attention_that_is_not_fused(timm, name):
    assert timm(check_cls, name) >= 1


def check_map(name):
    from luab_vision.model_attention import spatial_attention

    model = wrapped(name).eval()
    pixel_values = noise(model)
    attention = spatial_attention(model)
    attention.watch(model)
    logits = model(pixel_values).logits
    classes = torch.arange(CLASSES).expand(len(pixel_values), CLASSES)
    maps = attention.activation_maps(model, tuple(pixel_values.shape[-2:]), classes)
    assert maps.shape[2] * maps.shape[3] > 1
    if name != "shvit_s1":  # which crops
        assert maps.shape[2] * pixel_values.shape[3] == maps.shape[3] * pixel_values.shape[2], "square cells"
    torch.testing.assert_close(maps.mean((2, 3)) + attention.constant(model), logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", MAP)
def test_the_mean_of_the_map_is_the_logit(timm, name):
    timm(check_map, name)


def check_training(name, kind, folder):
    from transformers import AutoModelForImageClassification

    from luab_vision.model_attention import spatial_attention

    model = wrapped(name).train()
    pixel_values = noise(model)
    assert spatial_attention(model).kind == kind
    maps, _ = look(model, pixel_values)
    torch.testing.assert_close(maps.sum((-2, -1)), torch.ones(maps.shape[:3]))
    maps[..., 0, 0].sum().backward()
    last = model.timm_model.get_classifier()
    head = {id(p) for each in (last if isinstance(last, tuple) else [last]) for p in each.parameters()}
    touched = [p for p in model.parameters() if id(p) not in head and p.grad is not None]
    assert sum(p.grad.abs().sum() for p in touched) > 0, "the gradient reaches the backbone"
    model.eval().save_pretrained(folder)
    loaded, info = AutoModelForImageClassification.from_pretrained(folder, output_loading_info=True)
    assert not (info["missing_keys"] or info["unexpected_keys"] or info["mismatched_keys"])
    torch.testing.assert_close(loaded.eval()(pixel_values).logits, model(pixel_values).logits)
    found, _ = look(model, pixel_values)
    torch.testing.assert_close(look(loaded.timm_model, pixel_values)[0], found)  # plain timm, too


@pytest.mark.parametrize("name", CLS + MAP)
def test_gradients_flow_and_the_checkpoint_loads_plain(timm, name, tmp_path):
    timm(check_training, name, "cls" if name in CLS else "map", tmp_path)


def reason(name, model_args):
    from luab_vision.model_attention import spatial_attention
    from luab_vision.readout import NoReadout

    try:
        spatial_attention(wrapped(name, **model_args))
    except NoReadout as error:
        return str(error)
    return "none"


@pytest.mark.parametrize(
    ("name", "model_args", "message"),
    [
        ("mobilenetv3_small_050", {}, "before it come .*conv_head (Conv2d), .*act2 (Hardswish)"),
        ("vit_tiny_patch16_224", {"global_pool": "max"}, "neither the mean of a feature map nor a CLS token"),
        ("vit_tiny_patch16_224", {"global_pool": "avgmax"}, "neither the mean of a feature map nor"),
        ("convit_tiny", {}, "no module asks all tokens by plain fused attention"),
        ("efficientformerv2_s0", {}, "its logits are the mean of"),
    ],
)
def test_a_model_that_does_not_fit_says_why(timm, name, model_args, message):
    found = timm(reason, name, model_args)
    for part in message.split(".*"):
        assert part in found
    assert "use --loss point" in found


def check_same_with(what):
    gradients = []
    for changed in (False, True):
        model = wrapped("vit_tiny_patch16_224").train()
        if changed and what == "checkpointing":
            model.gradient_checkpointing_enable({"use_reentrant": False})
        maps, logits = look(model, noise(model))
        (maps[..., 0, 0].sum() + logits.sum()).backward()
        gradients.append([p.grad for p in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
    assert sum(one.abs().sum() for one in gradients[0]) > 0


def test_gradient_checkpointing_gives_the_same_gradients(timm):
    timm(check_same_with, "checkpointing")


def check_compiled(name):
    from luab_vision.model_attention import spatial_attention

    model = wrapped(name).eval()
    pixel_values = noise(model)
    spatial_attention(model)
    plain = look(model, pixel_values)
    compiled = torch.compile(lambda values: look(model, values), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(pixel_values), plain)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "convnext_atto"])
def test_compiles_and_agrees(timm, name):
    timm(check_compiled, name)


def check_chosen():
    model = wrapped("vit_tiny_patch16_224").eval()
    pixel_values = noise(model)
    every, _ = look(model, pixel_values)
    last, _ = look(model, pixel_values, "last1")
    torch.testing.assert_close(last, every[:, :, 1:])
    heads = [look(model, pixel_values, "all", str(head))[0] for head in range(4)]
    assert not torch.allclose(heads[0], heads[1], rtol=1e-3)
    with pytest.raises(ValueError, match="--attention_heads 4: the model has 4"):
        look(model, pixel_values, "all", "4")
    torch.testing.assert_close(look(copy.deepcopy(model), pixel_values)[0], every)


def test_layers_and_heads_can_be_chosen_and_copies_look_the_same(timm):
    timm(check_chosen)


def check_wide():
    model = wrapped("vit_tiny_patch16_224", img_size=[64, 96]).eval()
    assert look(model, noise(model))[0].shape == (2, 1, 2, 4, 6)
    flexible = wrapped("vit_small_patch14_reg4_dinov2", dynamic_img_size=True).eval()
    found, _ = look(flexible, torch.randn(2, 3, 42, 84))
    assert found.shape == (2, 1, 2, 3, 6)


def test_wide_images(timm):
    timm(check_wide)
