"""Models unlike the usual ones train, save and resume: other configurations, ways to make them, adapters."""

import pytest
import torch
from fixtures.clicked import clicked_dataset
from fixtures.tiny_models import ADAPTED, IMAGE_SIZE, images, tiny_model
from transformers import AutoConfig, AutoModelForImageClassification

from luab_trainer.classifier import load_start
from luab_trainer.config import LUABConfig
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.lora import check_adapter
from luab_trainer.model import LUABModel, input_size
from luab_trainer.trainer import LUABTrainer
from luab_vision.processors import square_processor
from luab_vision.transforms import EvalTransform, ImageSettings


def siglip(**config):
    """SigLIP and CLIP say in `vision_config` how large their images are, and how wide they are."""
    part = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**part, "image_size": IMAGE_SIZE, "patch_size": 8}
    text = {**part, "vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    settings = {"vision_config": vision, "text_config": text, "num_labels": 5, "architectures": [], **config}
    torch.manual_seed(0)
    return AutoModelForImageClassification.from_config(AutoConfig.for_model("siglip", **settings))


def trainer(folder, model=None, loss="point", **arguments):
    more = {name: arguments.pop(name) for name in ("model_init",) if name in arguments}
    config = LUABConfig(
        str(folder), loss=loss, max_steps=4, per_device_train_batch_size=4, save_strategy="steps",
        save_steps=2, logging_steps=1, learning_rate=1e-3, use_cpu=True, disable_tqdm=True,
        report_to="none", **arguments,
    )  # fmt: skip
    data = ViewDataset(clicked_dataset(8), EvalTransform(ImageSettings(size=IMAGE_SIZE)), byproduct="click")
    processor = square_processor(IMAGE_SIZE)
    return LUABTrainer(model, config, train_dataset=data, processing_class=processor, **more)


def losses(run):
    return [entry["loss"] for entry in run.state.log_history if "loss" in entry]


@pytest.mark.parametrize("loss", ["none", "point", "both"])
def test_a_model_of_images_and_text_trains_and_resumes(tmp_path, loss):
    run = trainer(tmp_path, siglip(), loss)
    run.train()
    run.save_model()
    names = [f"LABEL_{index}" for index in range(5)]
    again, _, _ = load_start(str(tmp_path), None, names)
    torch.testing.assert_close(again.eval()(images()).logits, run.luab.model.eval()(images()).logits)
    resumed = trainer(tmp_path, siglip(), loss)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert losses(resumed) == pytest.approx(losses(run), rel=1e-5)


def test_a_model_of_images_and_text_starts_from_its_config(tmp_path):
    siglip().config.save_pretrained(tmp_path)
    names = ["a", "b", "c"]
    model, processor, _ = load_start(None, str(tmp_path), names, image_size=48)
    assert (model.config.num_labels, input_size(model.config)) == (3, (48, 48))
    assert (processor.size["height"], processor.size["width"]) == (48, 48)
    model, processor, _ = load_start(None, str(tmp_path), names)
    assert processor.size["height"] == IMAGE_SIZE
    assert LUABModel(model)(images(height=48)).logits.shape == (4, 3), "position encodings are interpolated"


@pytest.mark.parametrize("loss", ["point", "both"])
def test_an_image_size_may_be_a_list(tmp_path, loss):
    model = tiny_model("vit", image_size=[24, 32])
    model.config.save_pretrained(tmp_path)
    again, processor, _ = load_start(None, str(tmp_path), ["a", "b"])
    assert input_size(again.config) == (24, 32)
    assert (processor.size["height"], processor.size["width"]) == (24, 32)
    labels, points = torch.zeros(4, dtype=torch.int64), torch.full((4, 1, 1, 2), 0.5)
    output = LUABModel(model, loss)(images(height=24), labels, points, torch.ones(4, 1, 1), labels[:, None])
    assert output.loss.isfinite()


def test_a_config_without_a_size_says_which_is_taken(tmp_path, caplog):
    tiny_model("resnet").config.save_pretrained(tmp_path)
    _, processor, _ = load_start(None, str(tmp_path), ["a", "b"])
    assert processor.size["height"] == 224
    assert "images are taken as 224 x 224. Set --image_size" in caplog.text


def test_a_probability_to_keep_is_not_dropped(tmp_path, caplog):
    tiny_model("mobilenet_v1", classifier_dropout_prob=0.999).save_pretrained(tmp_path / "theirs")
    square_processor(64).save_pretrained(tmp_path / "theirs")
    model, _, _ = load_start(str(tmp_path / "theirs"), None, ["a", "b"])
    assert model.dropout.p == pytest.approx(0.001)
    assert (
        "classifier_dropout_prob of 0.999 is what TensorFlow's code keeps, so 0.001 is dropped" in caplog.text
    )
    caplog.clear()
    model.save_pretrained(tmp_path / "ours")
    square_processor(64).save_pretrained(tmp_path / "ours")
    again, _, _ = load_start(str(tmp_path / "ours"), None, ["a", "b"])
    assert again.dropout.p == pytest.approx(0.001)
    assert "dropout" not in caplog.text


def test_a_model_from_python_that_drops_what_it_should_keep_is_refused(tmp_path):
    model = tiny_model("mobilenet_v1", classifier_dropout_prob=0.999)
    with pytest.raises(ValueError, match=r"classifier_dropout_prob=0\.001"):
        LUABTrainer(model, LUABConfig(str(tmp_path), use_cpu=True))


@pytest.mark.parametrize("arguments", [0, 1])
def test_a_model_init_trains_as_the_model_does(tmp_path, arguments):
    run = trainer(tmp_path / "one", tiny_model("vit"), "both")
    run.train()
    make = (lambda: tiny_model("vit")) if not arguments else (lambda trial: tiny_model("vit"))
    other = trainer(tmp_path / "two", loss="both", model_init=make)
    other.train()
    assert losses(other) == pytest.approx(losses(run), rel=1e-5)
    other.save_model()
    AutoModelForImageClassification.from_pretrained(tmp_path / "two")
    for model, init in ((None, None), (tiny_model("vit"), make)):
        with pytest.raises(ValueError, match="either a model or a model_init"):
            trainer(tmp_path, model, model_init=init)


def test_an_adapter_trains_saves_and_resumes(tmp_path):
    peft = pytest.importorskip("peft")

    def adapted():
        config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"])
        return peft.get_peft_model(tiny_model("vit"), config)

    run = trainer(tmp_path / "out", adapted(), "both")
    run.train()
    run.save_model()
    resumed = trainer(tmp_path / "out", adapted(), "both")
    resumed.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-2"))
    assert losses(resumed) == pytest.approx(losses(run), rel=1e-5)
    AutoModelForImageClassification.from_pretrained(tmp_path / "out")  # merged
    loaded = peft.PeftModel.from_pretrained(tiny_model("vit"), str(tmp_path / "out" / "adapter")).eval()
    torch.testing.assert_close(loaded(images()).logits, run.luab.model.eval()(images()).logits)
    within = tiny_model("vit")
    within.add_adapter(peft.LoraConfig(r=2, target_modules=["q_proj"]))
    with pytest.raises(ValueError, match="saves its adapter without its head"):
        trainer(tmp_path, within)


TARGETS = {"convnext": ["pwconv1"], "convnextv2": ["pwconv1"], "swinv2": ["query"], "resnet": ["convolution"]}


@pytest.mark.parametrize("model_type", ADAPTED)
def test_an_adapter_of_every_family_has_the_losses_of_its_model(model_type):
    """As PEFT makes it, it changes nothing."""
    peft = pytest.importorskip("peft")
    targets = TARGETS.get(model_type, ["q_proj"])
    if model_type == "mobilenet_v1":
        targets = r".*layer\.(1|3)\.convolution"  # the others are depthwise
    config = peft.LoraConfig(r=2, target_modules=targets, modules_to_save=["classifier"])
    wrapper = peft.get_peft_model(tiny_model(model_type), config)
    check_adapter(wrapper)  # as the trainer does
    adapted = LUABModel(wrapper, "both").eval()
    luab = LUABModel(tiny_model(model_type), "both").eval()
    adapted.point.load_state_dict(luab.point.state_dict())
    labels, points = torch.tensor([0, 1, 2, 3]), torch.rand(4, 1, 1, 2)
    batch = {
        "labels": labels, "target_points": points, "target_weights": torch.ones(4, 1, 1),
        "target_labels": labels[:, None],
    }  # fmt: skip
    for pixels in (images(), images(height=64, width=64)):  # the second: encodings are interpolated
        found, expected = adapted(pixels, **batch), luab(pixels, **batch)
        torch.testing.assert_close(found.terms, expected.terms)
    adapted(images(), **batch).loss.backward()
    trained = [name for name, value in adapted.named_parameters() if value.grad is not None]
    assert any("lora_B" in name for name in trained)
    assert all("lora_" in name or "modules_to_save" in name or "point" in name for name in trained)
