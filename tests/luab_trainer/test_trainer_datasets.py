"""LUABTrainer with datasets of a user's own: what they leave out is said or refused."""

import pytest
import torch
from fixtures.clicked import clicked_dataset
from fixtures.tiny_models import IMAGE_SIZE, NUM_LABELS, tiny_model
from torch.utils.data import ChainDataset, ConcatDataset, Subset

from luab_data.errors import SourceError
from luab_trainer.config import LUABConfig
from luab_trainer.data.background import BackgroundMix
from luab_trainer.data.cutmix import CutMix
from luab_trainer.data.dataset import ViewDataset, ViewIterableDataset
from luab_trainer.preflight import check_ready
from luab_trainer.trainer import LUABTrainer
from luab_vision.processors import square_processor
from luab_vision.transforms import EvalTransform, ImageSettings

TRANSFORM = EvalTransform(ImageSettings(size=IMAGE_SIZE))


def samples(count, byproduct="click"):
    return ViewDataset(clicked_dataset(count), TRANSFORM, byproduct=byproduct)


def trainer(folder, train=None, evaluation=None, **arguments):
    arguments = {
        "loss": "both", "max_steps": 2, "per_device_train_batch_size": 4, "per_device_eval_batch_size": 4,
        "save_strategy": "no", "use_cpu": True, "disable_tqdm": True, "report_to": "none", **arguments,
    }  # fmt: skip
    return LUABTrainer(
        tiny_model("vit"),
        LUABConfig(str(folder), **arguments),
        train_dataset=samples(8) if train is None else train,
        eval_dataset=evaluation,
        processing_class=square_processor(IMAGE_SIZE),
    )


class Own(torch.utils.data.Dataset):
    """A user's dataset, which is no `ViewDataset`."""

    def __init__(self, byproduct, count=8):
        self.samples = list(samples(count, byproduct))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def test_a_mix_that_the_dataset_does_not_do_is_refused(tmp_path):
    mix = rf"mix=BackgroundMix\(0.5, {BackgroundMix.radius:g}, shape='object'\)"
    with pytest.raises(ValueError, match=mix):
        trainer(tmp_path, background_mix=0.5)
    mixing = ViewDataset(clicked_dataset(8), TRANSFORM, byproduct="click", mix=BackgroundMix(0.5))
    trainer(tmp_path, train=mixing, background_mix=0.5).train()


@pytest.mark.parametrize(
    "given",
    [
        {"background_mix": 0.9}, {"cutmix": 0.5}, {"mixup": 0.5}, {"label_policy": "authors"},
        {"byproduct": "scanpath", "attention_sigma": 0.1},
    ],
    ids=str,
)  # fmt: skip
def test_what_a_dataset_of_ones_own_does_not_do_is_refused(tmp_path, given):
    name, value = list(given.items())[-1]
    with pytest.raises(ValueError, match=f"{name}={value!r} is what a ViewDataset does, .* is a Own: leave"):
        trainer(tmp_path, train=Own("click"), **given)


def test_a_dataset_of_ones_own_trains_with_the_defaults_and_says_no_mix(tmp_path):
    run = trainer(tmp_path, train=Own("click"))
    run.train()
    run.save_model()
    assert "mix" not in (tmp_path / "README.md").read_text()
    run.args.cutmix = 0.5  # as a hyperparameter search would set it
    with pytest.raises(ValueError, match=r"cutmix=0.5 is what a ViewDataset does"):
        run.train()


def test_a_run_does_not_go_on_with_more_rows_of_ones_own(tmp_path):
    saved = {"save_strategy": "steps", "save_steps": 1}
    trainer(tmp_path, train=Own("click"), **saved).train()
    with pytest.raises(SourceError, match="the number of training rows is 12, the checkpoint's is 8"):
        trainer(tmp_path, train=Own("click", 12), max_steps=3).train(resume_from_checkpoint=True)
    trainer(tmp_path, train=Own("click"), max_steps=3).train(resume_from_checkpoint=True)


class Stream(torch.utils.data.IterableDataset):
    """A user's stream, with no length."""

    def __iter__(self):
        return iter(Own("click"))


class UnknownLength(Stream):
    def __len__(self):
        raise TypeError("its length is not known")


@pytest.mark.parametrize("make", [Stream, UnknownLength, lambda: ChainDataset([Stream(), Stream()])])
def test_a_stream_of_ones_own_goes_on_from_its_checkpoints(tmp_path, make):
    saved = {"save_strategy": "steps", "save_steps": 1}
    trainer(tmp_path, train=make(), **saved).train()
    run = trainer(tmp_path, train=make(), max_steps=3)
    run.train(resume_from_checkpoint=True)
    assert run.state.global_step == 3


@pytest.mark.parametrize(
    ("wrap", "kind", "of"),
    [
        (lambda: Subset(samples(8), range(4)), "Subset", "ViewDataset"),
        (lambda: Subset(Subset(samples(8), range(6)), range(4)), "Subset", "ViewDataset"),
        (lambda: ConcatDataset([Own("click"), samples(8)]), "ConcatDataset", "ViewDataset"),
        (lambda: ChainDataset([stream(8)]), "ChainDataset", "ViewIterableDataset"),
    ],
)
def test_a_part_or_a_chain_of_view_datasets_does_not_train(tmp_path, wrap, kind, of):
    """They do not hand on the epoch, so each row would have the same crop in all."""
    with pytest.raises(ValueError, match=rf"is a {kind} of a {of}, whose crops .*rows\.select\(numbers\)"):
        trainer(tmp_path, train=wrap())


def test_parts_of_view_datasets_evaluate_and_are_checked_as_whole_ones(tmp_path):
    metrics = trainer(tmp_path, evaluation=Subset(samples(8), range(4))).evaluate()
    assert {"eval_attention", "eval_accuracy"} <= metrics.keys()
    paired = ViewDataset(clicked_dataset(8), TRANSFORM, cutmix=CutMix(0.5), num_labels=NUM_LABELS)
    with pytest.raises(ValueError, match="the dataset to evaluate on has cutmix"):
        trainer(tmp_path, evaluation={"part": Subset(paired, range(4))})
    grey = EvalTransform(ImageSettings(size=IMAGE_SIZE, mean=(0.5,) * 3, std=(0.25,) * 3))
    other = ViewDataset(clicked_dataset(8), grey)
    for evaluation in (ConcatDataset([samples(8), other]), {"one": samples(8), "other": other}):
        with pytest.raises(ValueError, match="normalized in two ways: the eval_dataset's transform says"):
            trainer(tmp_path, evaluation=evaluation)


def test_datasets_of_ones_own_without_targets_are_named_once(tmp_path, caplog):
    run = trainer(tmp_path, train=Own(None), evaluation=Own(None))
    run.train()
    assert caplog.text.count("the training batches have no target_points") == 1
    assert caplog.text.count("their loss is without point and attention") == 1
    run.evaluate()
    metrics = run.evaluate()
    assert caplog.text.count("the evaluation batches have no target_points") == 1
    assert metrics["eval_loss"] == metrics["eval_ce"]


def test_evaluation_rows_without_byproducts_get_no_hint_for_programmers(tmp_path, caplog):
    metrics = trainer(tmp_path, evaluation=samples(8, None)).evaluate()
    assert metrics["eval_loss"] == metrics["eval_ce"]
    assert "target_points" not in caplog.text


@pytest.mark.parametrize(("loss", "byproduct"), [("both", "click"), ("none", None)])
def test_datasets_of_ones_own_with_all_that_the_loss_needs_get_no_warning(tmp_path, caplog, loss, byproduct):
    own = Own(byproduct)
    run = trainer(tmp_path, train=own, evaluation=own, loss=loss)
    run.train()
    metrics = run.evaluate()
    assert "target_points" not in caplog.text
    assert ("eval_attention" in metrics) == (loss == "both")


def test_a_byproduct_term_of_ones_own_dataset_may_choose_the_best_model(tmp_path):
    arguments = {"eval_strategy": "epoch", "metric_for_best_model": "attention"}
    check_ready(trainer(tmp_path, evaluation=Own("click"), **arguments), checkpoint=None)
    with pytest.raises(SourceError, match="an evaluation during training gives accuracy, loss, ce, runtime"):
        check_ready(trainer(tmp_path, evaluation=samples(8, None), **arguments), checkpoint=None)


def stream(count):
    return ViewIterableDataset(clicked_dataset(count).to_iterable_dataset(), TRANSFORM, byproduct="click")


@pytest.mark.parametrize(
    ("data", "message"),
    [(samples(3), "there are 3 rows, and a batch has 4"), (stream(9), "does nothing with a stream")],
)
def test_a_last_batch_that_cannot_be_dropped_is_refused(tmp_path, data, message):
    with pytest.raises(ValueError, match=f"--dataloader_drop_last.* {message}"):
        trainer(tmp_path, train=data, dataloader_drop_last=True)
