"""What a classifier's last Linear reads is found by how it is built, for models that no list names."""

import pytest
import torch
from fixtures.tiny_models import images
from torch import nn

from luab_vision.grids import Grid, grid_of
from luab_vision.model_attention import has_attention, readout_of, spatial_attention
from luab_vision.readout import NoReadout

CLASSES = 5


class Unknown(nn.Module):
    """A classifier of nobody's: convolution, one of several poolings, one of several norms, a Linear."""

    num_classes = CLASSES

    def __init__(self, pool, norm=None, between=None):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Conv2d(3, 16, 8, stride=8)
        self.last = nn.Identity()
        self.pool, self.norm, self.between = pool, norm or nn.Identity(), between or nn.Identity()
        self.fc = nn.Linear(16, CLASSES)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3)

    def forward(self, pixel_values):
        return self.fc(self.between(self.norm(self.pool(self.last, self.embed(pixel_values)))))


def channels_first(last, features):
    return last(features).mean((2, 3))


def channels_last(last, features):
    return last(features.permute(0, 2, 3, 1)).mean((1, 2))


def tokens(last, features):
    return last(features.flatten(2).transpose(1, 2)).mean(1)


def after_registers(last, features):
    sequence = features.flatten(2).transpose(1, 2)
    return last(torch.cat([3 * sequence[:, :2], sequence], 1))[:, 2:].mean(1)


def columns_first(last, features):
    return last(features.transpose(2, 3).flatten(2).transpose(1, 2)).mean(1)


def maximum(last, features):
    return last(features).amax((2, 3))


def trained(norm):
    """A norm whose running statistics are not those that it starts with."""
    if isinstance(norm, nn.BatchNorm1d):
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    return norm


NORMS = {
    "none": lambda: None,
    "LayerNorm": lambda: nn.LayerNorm(16),
    "LayerNorm without weights": lambda: nn.LayerNorm(16, elementwise_affine=False),
    "LayerNorm without bias": lambda: nn.LayerNorm(16, bias=False),
    "RMSNorm": lambda: nn.RMSNorm(16),
    "BatchNorm": lambda: trained(nn.BatchNorm1d(16)),
}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("pool", [channels_first, channels_last, tokens, after_registers])
def test_the_mean_of_the_map_is_the_logit(pool, norm):
    torch.manual_seed(3)
    model, pixel_values = Unknown(pool, NORMS[norm]()).eval(), images(height=32, width=48)
    attention = spatial_attention(model)
    assert (readout_of(model).place.module, readout_of(model).norm) == (
        "last",
        None if norm == "none" else "norm",
    )
    attention.watch(model)
    logits = model(pixel_values)
    maps = attention.activation_maps(model, (32, 48), torch.arange(CLASSES).expand(4, CLASSES))
    assert maps.shape == (4, CLASSES, 4, 6)
    torch.testing.assert_close(maps.mean((2, 3)) + attention.constant(model), logits, atol=1e-5, rtol=1e-4)
    assert maps.flatten(2).std(dim=2).min() > 0.01, "the test wants maps that are not even"


@pytest.mark.parametrize("pool", [channels_first, channels_last, tokens, after_registers])
def test_a_cell_of_the_map_is_at_its_place_in_the_image(pool):
    """With a convolution alone, a change of a patch changes the map there and nowhere else."""
    model = Unknown(pool).eval()
    attention, maps = spatial_attention(model), []
    pixel_values = images(1, 32, 48)
    for change in (0, 1):
        pixel_values[:, :, 8:16, 32:40] += change
        attention.watch(model)
        model(pixel_values)
        maps.append(attention.activation_maps(model, (32, 48), torch.tensor([[2]]))[0, 0])
    assert (maps[1] - maps[0]).abs().gt(1e-4).nonzero().tolist() == [[1, 4]]


def test_batch_norm_of_a_training_batch_is_folded_in():
    """Its logits differ from the mean of the map by the same number for all images of the batch."""
    model, pixel_values = Unknown(channels_first, nn.BatchNorm1d(16)).train(), images(height=32, width=48)
    attention = spatial_attention(model)
    attention.watch(model)
    logits = model(pixel_values)
    maps = attention.activation_maps(model, (32, 48), torch.arange(CLASSES).expand(4, CLASSES))
    constant = logits - maps.mean((2, 3))
    torch.testing.assert_close(constant, constant[:1].expand(4, CLASSES), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((maximum,), "its last Linear reads neither the mean of a feature map nor a CLS token"),
        ((channels_first, None, nn.GELU()), r"nor a CLS token: before it come between \(GELU\)"),
        ((channels_first, nn.LayerNorm(16), nn.Linear(16, 16)), r"norm \(LayerNorm\), between \(Linear\)"),
        (
            (columns_first,),
            "are not in the order of the image's rows: a change of a region shows in tokens of others",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(arguments, message):
    with pytest.raises(NoReadout, match=message):
        spatial_attention(Unknown(*arguments))


def test_a_last_block_that_does_nothing_yet_is_not_taken_for_the_norm():
    """CaiT's blocks on the class token start as identities, so their norms give what the last one does."""

    class Cait(Unknown):
        def __init__(self):
            super().__init__(None)
            self.token = nn.Parameter(torch.randn(1, 1, 16))
            self.within, self.scale, self.norm = nn.LayerNorm(16), 0.0, nn.LayerNorm(16)

        def forward(self, pixel_values):
            sequence = self.embed(pixel_values).flatten(2).transpose(1, 2)
            token = self.token + sequence.mean(1, keepdim=True)
            token = token + self.scale * self.within(token)
            return self.fc(self.norm(torch.cat([token, sequence], 1))[:, 0])

    readout = readout_of(Cait().eval())
    assert (readout.kind, readout.place.module, readout.place.prefix, readout.norm) == (
        "tokens",
        "norm",
        1,
        None,
    )


def test_a_register_of_many_tokens_is_left_out_in_half_precision_too():
    """One of 97 tokens changes the mean by less than what half precision may be off."""

    def after_one(last, features):
        sequence = features.flatten(2).transpose(1, 2)
        return last(torch.cat([sequence[:, :1], sequence], 1))[:, 1:].mean(1)

    place = readout_of(Unknown(after_one).eval().to(torch.bfloat16)).place
    assert (place.prefix, place.grid) == (1, Grid((8, 8)))


@pytest.mark.parametrize(("error", "known"), [(1e-3, True), (0.05, False)])
def test_a_linear_that_a_gpu_computes_in_tf32_is_known(error, known):
    model = Unknown(channels_first).eval()
    model.fc.register_forward_hook(lambda module, args, output: output * (1 + error))
    assert has_attention(model) is known


def test_a_head_that_changes_the_logits_is_refused():
    class Scaled(Unknown):
        def forward(self, pixel_values):
            return 2 * super().forward(pixel_values)

    with pytest.raises(NoReadout, match=r"its logits are not the output of a Linear \(fc\)"):
        spatial_attention(Scaled(channels_first))


def test_what_is_no_classifier_is_refused():
    with pytest.raises(NoReadout, match="it says nowhere how many classes it has"):
        spatial_attention(nn.Linear(3, 2))
    model = Unknown(channels_first)
    model.num_classes = 7
    with pytest.raises(NoReadout, match="it has no Linear with 7 outputs"):
        spatial_attention(model)


def test_images_whose_tokens_are_of_no_grid_are_named():
    model = Unknown(lambda last, features: last(features.flatten(2).transpose(1, 2)[:, :-1]).mean(1))
    with pytest.raises(NoReadout, match=r"its 95 tokens \(last\) are of no known grid"):
        spatial_attention(model)
    with pytest.raises(ValueError, match="images of 32 x 48 pixels give 23 cells, which is no grid of cells"):
        Grid((8, 8)).shape((32, 48), 23)


@pytest.mark.parametrize(
    ("size", "cells", "convolved", "stride", "shape"),
    [
        ((64, 96), 24, [(4, 6)], (16, 16), (4, 6)),
        ((64, 96), 24, [(4, 6), (16, 24)], (16, 16), (4, 6)),  # merged from the last convolution's
        ((30, 50), 7 * 4, [(7, 4)], (4, 12), (7, 4)),  # cells that are not square, cropped
        ((36, 60), 5 * 8, [(9, 15)], (8, 8), (5, 8)),  # padded
        ((64, 96), 24, [], (16, 16), (4, 6)),  # patches without a convolution
    ],
)
def test_grids(size, cells, convolved, stride, shape):
    grid = grid_of(size, cells, convolved)
    assert grid == Grid(stride)
    assert grid.shape(size, cells) == shape
    assert grid_of(size, cells + 1, convolved) is None
