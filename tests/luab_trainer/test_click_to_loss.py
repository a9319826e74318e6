"""From a click in a raw XML to a number in the loss, one step after the other, each worked out by hand."""

import io
import math

import numpy as np
import pytest
import torch
from fixtures.tiny_models import tiny_model
from fixtures.views import Through
from PIL import Image

from imagenet_ab.fast.columns import parse_columns
from imagenet_ab.record import parse_record
from imagenet_ab.rows import row
from luab_trainer.data.collator import collate
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.model import LUABModel
from luab_vision.geometry import View
from luab_vision.hooks import output_linear
from luab_vision.model_attention import spatial_attention
from luab_vision.transforms import normalize

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
XML = b"""<annotation><metadata>
  <imageID>n01440764/n01440764_105</imageID>
  <selected>True</selected>
  <selectedRecord><x>0.125</x><y>0.5</y><time>1641425052319</time></selectedRecord>
</metadata></annotation>"""


# The image's left half, from a quarter of its height on, half as high, mirrored.
LOWER_LEFT_MIRRORED = View(left=0.0, top=0.25, width=0.5, height=0.5, flipped=True)


@pytest.fixture
def batch():
    # Raw file -> record: the click is a ratio of the image, x first.
    record = parse_record(XML)
    assert (record.annotations[0].selected_record[0].x, record.annotations[0].selected_record[0].y) == (
        0.125,
        0.5,
    )
    # The array code, which reads the released layout, takes the file too, and gives the same click.
    assert parse_columns([XML]).clicks.to_pylist() == [{"x": 0.125, "y": 0.5}]
    # Record -> dataset row: one selected annotation, so Z is its first click.
    jpeg = io.BytesIO()
    Image.new("RGB", (64, 64)).save(jpeg, "JPEG")
    example = row(record.image_id, jpeg.getvalue(), record, class_index=1)
    assert example["click"] == {"x": 0.125, "y": 0.5}
    # Row -> crop -> target: x = 0.125 / 0.5 = 0.25, mirrored 0.75; y = (0.5 - 0.25) / 0.5 = 0.5.
    samples = ViewDataset([example], Through(LOWER_LEFT_MIRRORED, size=16), byproduct="click")
    np.testing.assert_allclose(samples[0]["target_points"][0], [[0.75, 0.5]])
    # Sample -> batch [B, C, P, 2]: one image, one target, one point that counts fully.
    batch = collate([samples[0]])
    assert batch["target_points"].tolist() == [[[[0.75, 0.5]]]]
    assert batch["target_weights"].tolist() == [[[1.0]]]
    assert batch["target_labels"].tolist() == [[1]]
    # The image is black: bytes of 0, which the model normalizes.
    assert batch["pixel_values"].dtype == torch.uint8 and not batch["pixel_values"].any()
    return batch


@pytest.fixture
def undecided():
    """A ConvNeXt whose output layer is zero: every class gets 1/2, and its class-activation map is flat."""
    model = tiny_model("convnext", num_labels=2, patch_size=4, image_size=16)
    torch.nn.init.zeros_(output_linear(model).weight)
    torch.nn.init.zeros_(output_linear(model).bias)
    return model


def test_click_becomes_the_attention_term(batch, undecided):
    disc = {"attention_radius": 0.35, "attention_tolerance": 0.2}
    luab = LUABModel(undecided, "attention", **disc, attention_weight=2.0, mean=MEAN, std=STD)
    # 16 x 16 pixels are a grid of 2 x 2 cells, a quarter of the attention in each. The right cells' centers
    # are 0.25 from the click, within the disc; the left cells' 0.56, beyond it (it ends at 0.35 + 0.35 / 4).
    spatial_attention(undecided).watch(undecided)
    undecided(normalize(batch["pixel_values"], MEAN, STD))
    attention = spatial_attention(undecided).maps(undecided, (16, 16), batch["target_labels"])
    assert attention.tolist() == [[[[[0.25, 0.25], [0.25, 0.25]]]]]
    # So half of the attention is far, and 0.2 may be: the term is 0.3.
    output = luab(**batch)
    assert output.terms["attention"].item() == pytest.approx(0.3)
    # loss = cross-entropy of two equal classes + weight * term
    assert output.loss.item() == pytest.approx(math.log(2) + 2.0 * 0.3)


def test_click_becomes_the_point_term(batch, undecided):
    luab = LUABModel(undecided, "point", point_weight=10.0, mean=MEAN, std=STD)
    # A new head says (0.5, 0.5), the center. smooth-L1 of (0.25, 0): the mean of 0.5 * 0.25^2 and 0.
    output = luab(**batch)
    assert output.terms["point"].item() == pytest.approx(0.015625)
    assert output.loss.item() == pytest.approx(math.log(2) + 10.0 * 0.015625)
