"""The order of tokens is told by a change of a region, also in models in which it shows nearly everywhere."""

import pytest
import torch
from fixtures.tiny_models import tiny_model

from luab_vision.model_attention import readout_of
from luab_vision.token_order import CHANGED, changes, in_order

SHAPE = (4, 8)
DEEP = {
    **{"hidden_size": 64, "num_hidden_layers": 6, "num_attention_heads": 4, "intermediate_size": 128},
    **{"image_size": 64, "patch_size": 8},
}
ATTENDED = ("v_proj", "value", "o_proj", "out_proj", "attention.output")


def changed(everywhere, there, seed=0):
    """How much tokens change: `everywhere`, drawn around it, and `there` more in the region."""
    found = torch.rand(len(CHANGED), *SHAPE, generator=torch.Generator().manual_seed(seed)) * 0.2 + everywhere
    for change, (row, column) in zip(found, CHANGED, strict=True):
        change[row, 2 * column : 2 * column + 2] += there
    return found.flatten(1)


def test_tokens_in_the_order_of_rows():
    assert in_order([changed(1, 5)], SHAPE) is True
    assert in_order([changed(1, 0)], SHAPE) is None


def test_a_change_that_may_be_rounding_tells_nothing():
    tokens = torch.randn(1, 32, 16, dtype=torch.bfloat16).repeat(3, 1, 1)
    tokens[1, 5:7] *= 1.004  # to the next number
    tokens[2, 20:22] *= 1.004
    assert (tokens[1] != tokens[0]).any()
    assert in_order([changes(tokens)], SHAPE) is None
    tokens[1, 5:7] *= 2
    tokens[2, 20:22] *= 2
    assert in_order([changes(tokens)], SHAPE) is False


@pytest.mark.parametrize("order", ["columns first", "reversed", "any"])
def test_tokens_in_another_order(order):
    at = torch.arange(32)
    orders = {
        "columns first": at.view(SHAPE).T.flatten(),
        "reversed": at.flip(0),
        "any": torch.randperm(32, generator=torch.Generator().manual_seed(3)),
    }
    assert in_order([changed(1, 5)[:, orders[order]]], SHAPE) is False


def test_tokens_that_change_a_lot_with_every_region_tell_nothing():
    """As the tokens do in which a large trained ViT keeps what it knows of the whole image."""
    outliers = changed(1, 5)
    outliers[:, [3, 17, 18, 30]] = 200.0
    assert outliers[0].topk(2).values.min() == 200, "the test wants more there than in the region"
    assert in_order([outliers], SHAPE) is True


def test_an_earlier_layer_tells_if_the_last_does_not():
    mixed, early = changed(50, 1), changed(1, 5)
    assert in_order([mixed], SHAPE) is None
    assert in_order([mixed, early], SHAPE) is True
    assert in_order([mixed, early.flip(1)], SHAPE) is False
    assert in_order([early, early.flip(1)], SHAPE) is True, "the first that tells decides"


def test_one_cell_has_no_order():
    assert in_order([], (1, 1)) is True


@pytest.mark.parametrize(
    ("model_type", "kind"), [("vit", "tokens"), ("dinov2", "tokens"), ("siglip", "mean")]
)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("parts", "factor"), [(("weight",), 3), (ATTENDED, 10), (ATTENDED, 30)])
def test_models_that_mix_their_tokens_are_not_refused(model_type, kind, seed, dtype, parts, factor):
    """With large weights each token is mostly the mean of all, as may be in a trained model on noise."""
    model = tiny_model(model_type, seed=seed, **({"vision_config": DEEP} if model_type == "siglip" else DEEP))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and any(part in name for part in parts):
                parameter.mul_(factor)
    assert readout_of(model.to(dtype).eval()).kind == kind
