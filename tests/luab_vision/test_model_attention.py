"""The attention that the loss sees is the model's own: equal to eager attention, and to the logit for
feature maps.
"""

import re

import pytest
import torch
from fixtures.tiny_models import NUM_LABELS, WITHOUT_ATTENTION, images, images_for, tiny_model
from torch import nn
from transformers import AutoModelForImageClassification

from luab_vision.cls_attention import chosen
from luab_vision.hooks import RECORD, output_linear
from luab_vision.model_attention import has_attention, spatial_attention
from luab_vision.readout import NoReadout
from luab_vision.tested_models import TRANSFORMERS, names_of

CLASSES = torch.tensor([[0], [1], [2], [4]])
CLS_ATTENTION, FEATURE_MAP = names_of(TRANSFORMERS, "cls"), names_of(TRANSFORMERS, "map")


def attention_of(model, pixel_values, classes=CLASSES, which=(), **kwargs):
    attention = spatial_attention(model, *which)
    attention.watch(model)
    model(pixel_values, **kwargs)
    return attention.maps(model, pixel_values.shape[-2:], classes)


def sharpen(model, factor):
    """Scale the query and key projections, so that attention is far from uniform."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if any(part in name for part in ("q_proj", "k_proj", "query", "key")):
                parameter.mul_(factor)
    return model


@pytest.mark.parametrize("sharpness", [1, 30])
@pytest.mark.parametrize("model_type", CLS_ATTENTION)
def test_cls_attention_equals_eager_attention(model_type, sharpness):
    pixel_values = images()
    ours = sharpen(tiny_model(model_type), sharpness).eval()
    eager = sharpen(tiny_model(model_type, attn_implementation="eager"), sharpness).eval()
    expected = torch.stack(eager(pixel_values, output_attentions=True).attentions, 1)  # [B, L, heads, N, N]
    if sharpness > 1:
        assert expected.max() > 0.5, "the test wants sharp attention"
    tokens = 2 if model_type == "deit with teacher" else 1
    expected = expected[:, :, :, :tokens, -16:].mean((2, 3))
    expected = (expected / expected.sum(-1, keepdim=True)).view(4, 2, 4, 4)

    found = attention_of(ours, pixel_values)
    assert found.shape == (4, 1, 2, 4, 4)
    torch.testing.assert_close(found[:, 0], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("model_type", CLS_ATTENTION)
def test_tapping_does_not_change_the_logits(model_type):
    pixel_values = images()
    plain = tiny_model(model_type).eval()(pixel_values).logits
    model = tiny_model(model_type).eval()
    attention = spatial_attention(model)
    attention.watch(model)
    assert torch.equal(model(pixel_values).logits, plain)


@pytest.mark.parametrize("model_type", FEATURE_MAP)
def test_activation_map_is_the_logit(model_type):
    model, pixel_values = tiny_model(model_type).eval(), images_for(model_type)
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms away from their initial 0 and 1
            parameter.add_(torch.randn_like(parameter) * 0.1)
    attention = spatial_attention(model)
    attention.watch(model)
    logits = model(pixel_values).logits
    every_class = torch.arange(5).expand(4, 5)
    maps = attention.activation_maps(model, pixel_values.shape[-2:], every_class)
    torch.testing.assert_close(maps.mean((-2, -1)) + attention.constant(model), logits, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("model_type", CLS_ATTENTION + FEATURE_MAP)
def test_attention_is_a_distribution_with_gradients(model_type):
    model = tiny_model(model_type)
    found = attention_of(model, images_for(model_type))
    torch.testing.assert_close(found.sum((-2, -1)), torch.ones(found.shape[:3]))
    found[..., 0, 0].sum().backward()
    touched = [name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    wanted = ("q_proj", "k_proj", "query", "key") if model_type in CLS_ATTENTION else ("classifier", "fc")
    assert any(part in name for name in touched for part in wanted), touched


@pytest.mark.parametrize("model_type", ["vit", "deit", "dinov2", "dinov2_with_registers", "vit_msn"])
def test_wide_images_with_interpolated_positions(model_type):
    model, pixel_values = tiny_model(model_type).eval(), images(height=32, width=48)
    extra = {} if model_type.startswith("dino") else {"interpolate_pos_encoding": True}
    found = attention_of(model, pixel_values, **extra)
    assert found.shape == (4, 1, 2, 4, 6)


def test_asking_again_adds_no_hook():
    model = tiny_model("convnext")
    attentions = [spatial_attention(model) for _ in range(3)]
    assert len(model.base_model._forward_hooks) == 1
    attentions[-1].watch(model)
    model(images())
    assert attentions[0].maps(model, (32, 32), CLASSES).shape[:3] == (4, 1, 1)


@pytest.mark.parametrize(("model_type", "grid"), [("swin", (5, 8)), ("convnext", (4, 7)), ("resnet", (5, 8))])
def test_grid_of_feature_maps_of_odd_sizes(model_type, grid):
    found = attention_of(tiny_model(model_type).eval(), images(height=36, width=60))
    assert found.shape == (4, 1, 1, *grid)


def test_a_sharp_map_points_where_the_feature_is():
    """Row-major order: brightness at the bottom left is attention at the bottom left."""
    model = tiny_model("resnet").eval()
    dark, bright = torch.zeros(1, 3, 32, 64), torch.zeros(1, 3, 32, 64)
    bright[:, :, 24:, :8] = 5
    attention = spatial_attention(model)
    maps = []
    for pixel_values in (dark, bright):
        attention.watch(model)
        model(pixel_values)
        maps.append(attention.activation_maps(model, (32, 64), torch.tensor([[0]]))[0, 0])
    change = (maps[1] - maps[0]).abs()
    row, column = divmod(int(change.argmax()), change.shape[1])
    assert row >= change.shape[0] // 2
    assert column < change.shape[1] // 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("model_type", ["vit", "beit", "convnext", "swin"])
def test_autocast_keeps_the_distribution_in_float32(model_type, dtype):
    model = tiny_model(model_type).eval()
    exact = attention_of(model, images())
    with torch.autocast("cpu", dtype=dtype):
        found = attention_of(model, images())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.sum((-2, -1)), torch.ones(found.shape[:3]))
    torch.testing.assert_close(found, exact, atol=2e-2, rtol=0.1)


@pytest.mark.parametrize("model_type", ["vit", "deit", "dinov2", "beit", "swin"])
def test_gradient_checkpointing_gives_the_same_gradients_and_keeps_nothing(model_type):
    gradients = []
    for checkpointing in (False, True):
        model = tiny_model(model_type).train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        attention_of(model, images())[..., 0, 0].sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
        kept = [name for name, module in model.named_modules() if getattr(module, RECORD, None)]
        assert not kept, "the recomputation recorded activations"
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


@pytest.mark.parametrize("model_type", ["vit", "convnext"])
def test_compiles_and_agrees(model_type):
    model = tiny_model(model_type).eval()
    attention = spatial_attention(model)

    def both(pixel_values):
        attention.watch(model)
        logits = model(pixel_values).logits
        return logits, attention.maps(model, (32, 32), CLASSES)

    plain = both(images())
    compiled = torch.compile(both, backend="eager", fullgraph=True)(images())
    torch.testing.assert_close(compiled, plain)


def test_saved_config_does_not_carry_our_attention_function(tmp_path):
    model = tiny_model("vit")
    spatial_attention(model)
    model.save_pretrained(tmp_path)
    assert "luab" not in (tmp_path / "config.json").read_text()
    assert type(model).from_pretrained(tmp_path).config._attn_implementation == "sdpa"


def test_two_models_in_one_process_do_not_mix():
    one, two, pixel_values = tiny_model("vit").eval(), tiny_model("vit", seed=7).eval(), images()
    expected = attention_of(one, pixel_values), attention_of(two, pixel_values)
    attention = spatial_attention(one)
    attention.watch(one)
    attention.watch(two)
    one(pixel_values)
    two(pixel_values)
    assert torch.equal(attention.maps(one, (32, 32)), expected[0])
    assert torch.equal(attention.maps(two, (32, 32)), expected[1])


class ConvolutionHead(nn.Module):
    """A 1 x 1 convolution as the classifier."""

    def __init__(self, width: int):
        super().__init__()
        self.convolution = nn.Conv2d(width, NUM_LABELS, 1)

    def forward(self, pooled):
        return self.convolution(pooled.flatten(1)[..., None, None]).flatten(1)


def test_a_convolution_after_the_pooling_is_a_linear():
    model = tiny_model("resnet").eval()
    model.classifier = ConvolutionHead(32)
    attention, pixel_values = spatial_attention(model), images()
    attention.watch(model)
    logits = model(pixel_values).logits
    classes = torch.arange(NUM_LABELS).expand(len(logits), NUM_LABELS)
    maps = attention.activation_maps(model, pixel_values.shape[-2:], classes)
    torch.testing.assert_close(maps.mean((2, 3)) + attention.constant(model), logits, atol=1e-5, rtol=1e-5)
    assert output_linear(model) is model.classifier.convolution


def test_a_model_whose_last_linear_gives_no_logits_is_refused():
    model = tiny_model("resnet")
    model.classifier = nn.Linear(32, NUM_LABELS + 1)
    with pytest.raises(NoReadout, match="no Linear with 5 outputs") as found:
        spatial_attention(model)
    assert "The point loss needs a Linear that gives the logits: use --loss none" in str(found.value)
    with pytest.raises(ValueError, match=r"one output per label \(5\), but its last Linear has 6 outputs\.$"):
        output_linear(model)


@pytest.mark.parametrize("model_type", ["vit", "resnet", "convnext"])
def test_a_model_of_one_channel_is_told_that_no_loss_works(model_type):
    with pytest.raises(NoReadout, match="it takes images of 1 channel, and here they have 3") as found:
        spatial_attention(tiny_model(model_type, num_channels=1))
    assert "No loss works with it" in str(found.value) and "--loss" not in str(found.value)


REASONS = {
    "levit": r"neither the mean of a feature map nor a CLS token: before it come .*batch_norm",
    "pvt": "reads a class token, but no module asks all tokens by plain fused attention",
    "swiftformer": "its logits are the mean of head and dist_head",
    "siglip2": r"takes no images \[B, 3, height, width\] of 64 x 96 or 32 x 32 or 224 x 224",
}


@pytest.mark.parametrize("model_type", WITHOUT_ATTENTION)
def test_a_model_that_does_not_fit_says_why_and_what_works(model_type):
    model = tiny_model(model_type)
    for _ in range(2):  # found, and kept
        works = "No loss works with it" if model_type == "siglip2" else "--loss point"
        with pytest.raises(NoReadout, match=rf"does not support .*{REASONS[model_type]}.*{works}"):
            spatial_attention(model)
    assert not has_attention(model)


@pytest.mark.parametrize("model_type", CLS_ATTENTION + FEATURE_MAP)
def test_looking_for_it_leaves_the_model_as_it_was(model_type):
    model, untouched = tiny_model(model_type).train(), tiny_model(model_type).train()
    list(model.modules())[3].eval()
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    assert has_attention(model)
    assert model.config._attn_implementation == untouched.config._attn_implementation
    spatial_attention(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    for (name, value), (_, other) in zip(
        model.state_dict().items(), untouched.state_dict().items(), strict=True
    ):
        assert torch.equal(value, other), name
    if model_type == "swin":  # whose layers keep the window of the smallest images that they have seen
        windows = [m.window_size for m in model.modules() if type(m).__name__ == "SwinLayer"]
        assert windows == [4, 4]
    kept = [name for name, module in model.named_modules() if getattr(module, RECORD, None)]
    assert not kept


@pytest.mark.parametrize("model_type", CLS_ATTENTION + FEATURE_MAP)
def test_the_checkpoint_loads_plain(model_type, tmp_path):
    model = tiny_model(model_type).eval()
    attention_of(model, images_for(model_type))
    model.save_pretrained(tmp_path)
    loaded, info = AutoModelForImageClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not (info["missing_keys"] or info["unexpected_keys"] or info["mismatched_keys"])
    assert "luab" not in (tmp_path / "config.json").read_text()
    pixel_values = images_for(model_type)
    torch.testing.assert_close(loaded.eval()(pixel_values).logits, model(pixel_values).logits)


def test_layers_and_heads_can_be_chosen():
    pixel_values = images()
    model = sharpen(tiny_model("vit"), 30).eval()
    eager = sharpen(tiny_model("vit", attn_implementation="eager"), 30).eval()
    every = torch.stack(eager(pixel_values, output_attentions=True).attentions, 1)[..., 0, 1:]  # [B, L, H, N]
    for layers, heads, expected in (
        ("last1", "all", every[:, 1:].mean(2)),
        ("0", "1,3", every[:, :1, [1, 3]].mean(2)),
        ("0,1", "2", every[:, :, 2]),
    ):
        found = attention_of(model, pixel_values, which=(layers, heads))
        expected = (expected / expected.sum(-1, keepdim=True)).unflatten(-1, (4, 4))
        torch.testing.assert_close(found[:, 0], expected, atol=1e-5, rtol=1e-4)
    assert attention_of(model, pixel_values).shape[2] == 2, "a later call asks all layers"


def test_a_relative_position_bias_goes_with_its_heads():
    pixel_values = images()
    eager = sharpen(tiny_model("beit", attn_implementation="eager"), 30).eval()
    model = sharpen(tiny_model("beit"), 30).eval()
    for one in (eager, model):
        torch.manual_seed(5)
        for name, parameter in one.named_parameters():
            if "relative_position_bias" in name:
                torch.nn.init.normal_(parameter)
    expected = torch.stack(eager(pixel_values, output_attentions=True).attentions, 1)[:, :, 1, 0, 1:]
    expected = (expected / expected.sum(-1, keepdim=True)).unflatten(-1, (4, 4))
    found = attention_of(model, pixel_values, which=("all", "1"))
    torch.testing.assert_close(found[:, 0], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("layers", "heads", "message"),
    [
        ("last3", "all", "--attention_layers last3: the model has 2 layers, numbered 0 to 1"),
        ("2", "all", "--attention_layers 2: the model has 2 layers"),
        ("0,0", "all", "name each once"),
        ("first", "all", "--attention_layers first: give all, lastN"),
        ("all", "4", "--attention_heads 4: the model has 4 heads, numbered 0 to 3"),
        ("all", "last1", "--attention_heads last1: give all or numbers"),
    ],
)
def test_layers_and_heads_that_there_are_not(layers, heads, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        spatial_attention(tiny_model("vit"), layers, heads)


def test_a_map_has_neither_layers_nor_heads():
    with pytest.raises(ValueError, match=r"--attention_layers last1.*no layers and no heads"):
        spatial_attention(tiny_model("convnext"), "last1")


def test_layers_by_name():
    assert chosen("all", 3, "layers") == (0, 1, 2)
    assert chosen("last2", 12, "layers") == (10, 11)
    assert chosen("5,0", 12, "layers") == (0, 5)
