"""LUABModel: every family trains on every loss, and the loss is what the contract says."""

import pytest
import torch
from fixtures.tiny_models import NUM_LABELS, images, images_for, tiny_model

from luab_trainer.model import LUABModel
from luab_vision.hooks import output_linear
from luab_vision.tested_models import TRANSFORMERS, names_of

BATCH = 4


def batch(rows=BATCH, points=2, seed=0):
    """A batch as the collator makes it; row 1 has no usable byproduct."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(NUM_LABELS, (rows,), generator=generator)
    weights = torch.full((rows, 1, points), 1 / points)
    weights[1] = 0
    return {
        "pixel_values": images(rows, seed=seed + 1),
        "labels": labels,
        "target_points": torch.rand(rows, 1, points, 2, generator=generator),
        "target_weights": weights,
        "target_labels": labels[:, None],
    }


def multi_label_batch():
    labels = torch.tensor([[1, 0, 1, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 0, 0]])
    target_labels = torch.tensor([[0, 2, -1], [4, -1, -1], [-1, -1, -1], [0, 1, 2]])
    weights = (target_labels >= 0).float()[..., None]
    return {
        "pixel_values": images(),
        "labels": labels.float(),
        "target_points": torch.where(weights[..., None] > 0, torch.rand(4, 3, 1, 2), -1.0),
        "target_weights": weights,
        "target_labels": target_labels,
    }


def quiet(model):
    """No dropout or stochastic depth, so that two forwards agree; batch norm keeps training."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


@pytest.mark.parametrize("loss", ["point", "attention", "both"])
@pytest.mark.parametrize("model_type", names_of(TRANSFORMERS, "cls") + names_of(TRANSFORMERS, "map"))
def test_a_step_changes_the_parameters(model_type, loss):
    luab = LUABModel(tiny_model(model_type), loss)
    before = {name: parameter.detach().clone() for name, parameter in luab.named_parameters()}
    output = luab(**batch() | {"pixel_values": images_for(model_type)})
    output.loss.backward()
    torch.optim.AdamW(luab.parameters(), lr=1e-2).step()
    changed = {
        name for name, parameter in luab.named_parameters() if not torch.equal(parameter, before[name])
    }
    last = next(name for name, module in luab.named_modules() if module is output_linear(luab.model))
    assert f"{last}.weight" in changed
    assert ("point.head.weight" in changed) == (loss in ("point", "both"))
    assert len(changed) > 0.6 * len(before)


@pytest.mark.parametrize("loss", ["point", "attention"])
@pytest.mark.parametrize("model_type", ["vit", "dinov2", "beit", "convnext", "resnet", "swin"])
def test_the_term_alone_reaches_the_backbone(model_type, loss):
    luab = LUABModel(tiny_model(model_type), loss, attention_tolerance=0.0)
    if loss == "point":
        torch.nn.init.normal_(luab.point.head.weight, std=0.1)  # it starts at 0 and stops the gradient
    luab(**batch()).terms[loss].sum().backward()
    first = next(p for name, p in luab.named_parameters() if "embed" in name and name.endswith("weight"))
    assert first.grad is not None
    assert first.grad.abs().sum() > 0


@pytest.mark.parametrize("model_type", ["levit", "swiftformer", "mobilevit", "poolformer", "resnet"])
def test_point_works_with_every_model(model_type):
    luab = LUABModel(tiny_model(model_type), "point").train()
    inputs = batch()
    inputs["pixel_values"] = images(height=64, width=64)
    output = luab(**inputs)
    output.loss.backward()
    assert luab.point.head.weight.grad.abs().sum() > 0


def test_loss_is_the_weighted_sum_of_the_terms_over_the_batch_size():
    luab = LUABModel(
        tiny_model("vit"), "both", point_weight=3.0, attention_weight=0.5, attention_tolerance=0.1
    )
    output = luab(**batch())
    assert {name: term.shape for name, term in output.terms.items()} == dict.fromkeys(
        ("ce", "point", "attention"), torch.Size([BATCH])
    )
    assert output.terms["point"][1] == output.terms["attention"][1] == 0, "row 1 has no byproduct"
    assert output.terms["point"].count_nonzero() == output.terms["attention"].count_nonzero() == BATCH - 1
    sums = {name: term.sum() / BATCH for name, term in output.terms.items()}
    torch.testing.assert_close(output.loss, sums["ce"] + 3 * sums["point"] + 0.5 * sums["attention"])


def test_plain_loss_is_transformers_own():
    model, inputs = tiny_model("convnext").eval(), batch()
    expected = model(inputs["pixel_values"], labels=inputs["labels"]).loss
    torch.testing.assert_close(LUABModel(model)(**inputs).loss, expected)


def test_multi_label_loss_is_transformers_own():
    inputs = multi_label_batch()
    model = tiny_model("convnext", problem_type="multi_label_classification").eval()
    expected = model(inputs["pixel_values"], labels=inputs["labels"]).loss
    torch.testing.assert_close(LUABModel(model)(**inputs).loss, expected)


@pytest.mark.parametrize("model_type", ["vit", "convnext", "swin"])
def test_multi_label_trains_with_both_losses(model_type):
    luab = LUABModel(tiny_model(model_type, problem_type="multi_label_classification"), "both")
    assert luab.point.head.out_features == 2 * NUM_LABELS
    output = luab(**multi_label_batch())
    output.loss.backward()
    assert output.terms["attention"].shape == (BATCH,)
    assert output.terms["attention"][2] == output.terms["point"][2] == 0, "row 2 has no byproduct"
    assert luab.point.head.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("model_type", ["vit", "convnext"])
def test_batch_of_8_is_8_batches_of_1(model_type):
    """The gradient of a batch is the mean of its rows' gradients, byproduct or not."""
    inputs = batch(rows=8)
    gradients = []
    for size in (8, 1):
        luab = quiet(LUABModel(tiny_model(model_type), "both", attention_tolerance=0.0))
        torch.manual_seed(3)
        torch.nn.init.normal_(luab.point.head.weight, std=0.1)
        for start in range(0, 8, size):
            part = {name: value[start : start + size] for name, value in inputs.items()}
            (luab(**part).loss * size / 8).backward()
        gradients.append({name: p.grad for name, p in luab.named_parameters() if p.grad is not None})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(
            gradients[1][name], gradient, atol=1e-5, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("model_type", ["vit", "convnext", "resnet"])
def test_autocast(model_type, dtype):
    luab = LUABModel(tiny_model(model_type), "both")
    exact = luab.eval()(**batch())
    with torch.autocast("cpu", dtype=dtype):
        output = luab(**batch())
    output.loss.backward()
    assert all(term.dtype == torch.float32 for term in output.terms.values())
    torch.testing.assert_close(output.loss, exact.loss, atol=0.05, rtol=0.05)


def test_a_model_in_bfloat16():
    luab = LUABModel(tiny_model("vit").to(torch.bfloat16), "both")
    inputs = batch()
    inputs["pixel_values"] = inputs["pixel_values"].to(torch.bfloat16)
    output = luab(**inputs)
    output.loss.backward()
    assert torch.isfinite(output.loss)


@pytest.mark.parametrize("model_type", ["vit", "beit", "swin"])
def test_gradient_checkpointing_gives_the_same_gradients(model_type):
    gradients = []
    for enable in (None, "gradient_checkpointing_enable", "activation_checkpointing_enable"):
        luab = quiet(LUABModel(tiny_model(model_type), "both")).train()
        if enable is not None and hasattr(luab.model, enable):
            getattr(luab, enable)()
        torch.manual_seed(3)
        torch.nn.init.normal_(luab.point.head.weight, std=0.1)
        luab(**batch()).loss.backward()
        gradients.append({name: p.grad for name, p in luab.named_parameters() if p.grad is not None})
    for name, gradient in gradients[0].items():
        for other in gradients[1:]:
            torch.testing.assert_close(other[name], gradient, msg=name)


def test_reentrant_checkpointing_is_refused():
    with pytest.raises(ValueError, match="use_reentrant must be False"):
        LUABModel(tiny_model("vit"), "attention").gradient_checkpointing_enable({"use_reentrant": True})


@pytest.mark.parametrize("model_type", ["vit", "convnext"])
def test_compiled_model_agrees(model_type):
    luab = LUABModel(tiny_model(model_type), "both").eval()
    plain = luab(**batch())
    compiled = torch.compile(luab, backend="eager")(**batch())
    torch.testing.assert_close(compiled.loss, plain.loss)
    compiled.loss.backward()
    assert luab.point.head.weight.grad.abs().sum() > 0


MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.5, 0.2)


@pytest.fixture
def crops():
    return torch.randint(256, (BATCH, 32, 32, 3), generator=torch.Generator().manual_seed(0)).byte()


def normalized(crops):
    return ((crops / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2).contiguous()


@pytest.mark.parametrize("model_type", ["vit", "convnext", "resnet"])
def test_bytes_are_normalized_as_the_image_processor_says(model_type, crops):
    luab = LUABModel(tiny_model(model_type), "both", mean=MEAN, std=STD).eval()
    expected = luab(**batch() | {"pixel_values": normalized(crops)}).loss
    torch.testing.assert_close(luab(**batch() | {"pixel_values": crops}).loss, expected)
    half = luab.to(torch.bfloat16)(**batch() | {"pixel_values": crops})
    assert half.logits.dtype == torch.bfloat16
    torch.testing.assert_close(half.loss.float(), expected, rtol=0.02, atol=0.02)


def test_bytes_without_a_mean_say_what_to_pass(crops):
    with pytest.raises(ValueError, match="pass LUABTrainer the processing_class, or LUABModel its mean"):
        LUABModel(tiny_model("vit"))(crops)


@pytest.mark.parametrize("model_type", ["vit", "convnext"])
def test_bytes_in_a_compiled_model_and_in_a_replica(model_type, crops):
    luab = LUABModel(tiny_model(model_type), mean=MEAN, std=STD).eval()
    expected = luab(normalized(crops)).logits
    torch.testing.assert_close(torch.compile(luab, backend="eager")(crops).logits, expected)
    # nn.DataParallel's replicas: the weights are attributes, and no parameters.
    modules = dict(luab.named_modules())
    replicas = {name: module._replicate_for_data_parallel() for name, module in modules.items()}
    for name, replica in replicas.items():
        for child in replica._modules:
            replica._modules[child] = replicas[f"{name}.{child}" if name else child]
        for own, parameter in modules[name]._parameters.items():
            setattr(replica, own, None if parameter is None else parameter.data)
    assert not list(replicas[""].parameters())
    torch.testing.assert_close(replicas[""](crops).logits, expected)


def test_other_image_sizes_interpolate_the_positions():
    luab = LUABModel(tiny_model("vit"), "attention")
    inputs = batch()
    inputs["pixel_values"] = images(height=48, width=64)
    output = luab(**inputs)
    assert torch.isfinite(output.loss)
    assert output.logits.shape == (BATCH, NUM_LABELS)


def test_activations_are_released_after_the_step():
    luab = LUABModel(tiny_model("vit"), "both")
    luab(**batch()).loss.backward()
    assert not [name for name, module in luab.named_modules() if getattr(module, "_luab_tap", None)]


def test_without_labels_there_are_only_logits():
    output = LUABModel(tiny_model("vit"), "both")(images())
    assert output.loss is None
    assert output.logits.shape == (BATCH, NUM_LABELS)


def test_unsupported_model_points_to_the_point_loss():
    with pytest.raises(ValueError, match="--loss point"):
        LUABModel(tiny_model("levit"), "attention")


def test_unknown_loss_is_named():
    with pytest.raises(
        ValueError, match="loss='clicks' is unknown; take one of none, point, attention, both"
    ):
        LUABModel(tiny_model("vit"), "clicks")
