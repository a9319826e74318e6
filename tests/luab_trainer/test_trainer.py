"""LUABTrainer: what it logs is what it trains on, whatever the batch size, the precision or the
interruption.
"""

import copy
from typing import get_args

import pytest
import torch
from fixtures.clicked import clicked_dataset
from fixtures.looked import CLASSES, looked_dataset, traced
from fixtures.tiny_models import IMAGE_SIZE, NUM_LABELS, tiny_model

from luab_data.rows.columns import ByproductKind, Columns
from luab_trainer.config import LUABConfig
from luab_trainer.data.collator import collate
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.model import LUABModel
from luab_trainer.trainer import LUABTrainer
from luab_vision.processors import square_processor
from luab_vision.transforms import ColorJitter, EvalTransform, ImageSettings, TrainTransform

SETTINGS = ImageSettings(size=IMAGE_SIZE)
MEAN, STD = SETTINGS.mean, SETTINGS.std
TERMS = ("loss", "ce", "point", "attention")
WEIGHTS = {"point_weight": 4.0, "attention_weight": 3.0, "attention_tolerance": 0.05}


def samples(count=20, train=False, **options):
    """Samples of random images with clicks: one fixed view, or the augmented ones of training."""
    transform = TrainTransform(SETTINGS, augmentations=[ColorJitter()]) if train else EvalTransform(SETTINGS)
    return ViewDataset(clicked_dataset(count), transform, **{"byproduct": "click", **options})


def trainer(folder, model="vit", train=None, evaluation=None, callbacks=None, **arguments):
    arguments = {
        "loss": "both",
        "per_device_train_batch_size": 4,
        "max_steps": 4,
        "logging_steps": 1,
        "save_strategy": "no",
        "learning_rate": 1e-3,
        "max_grad_norm": 0.0,
        "use_cpu": True,
        "disable_tqdm": True,
        "report_to": "none",
        **WEIGHTS,
        **arguments,
    }
    return LUABTrainer(
        tiny_model(model) if isinstance(model, str) else model,
        LUABConfig(str(folder), **arguments),
        train_dataset=samples() if train is None else train,
        eval_dataset=evaluation,
        processing_class=square_processor(IMAGE_SIZE),
        callbacks=callbacks,
    )


def logged(run, key="loss"):
    return [entry[key] for entry in run.state.log_history if key in entry]


def weights_of(run):
    return {name: value.detach().clone() for name, value in run.model.state_dict().items()}


def assert_same_weights(one, two, **tolerance):
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, msg=lambda m, n=name: f"{n}: {m}", **tolerance)


def test_bytes_are_normalized_as_the_processor_the_datasets_or_the_model_say(tmp_path):
    grey = ImageSettings(size=IMAGE_SIZE, mean=(0.5,) * 3, std=(0.25,) * 3)
    data = ViewDataset(clicked_dataset(8), EvalTransform(grey), byproduct="click")
    processor = square_processor(IMAGE_SIZE)
    args = LUABConfig(str(tmp_path), use_cpu=True, report_to="none")
    plain = tiny_model("vit")
    ready = LUABModel(tiny_model("vit"))
    assert LUABTrainer(plain, args, train_dataset=data).luab.mean == grey.mean
    assert tuple(LUABTrainer(ready, args, processing_class=processor).luab.std) == STD
    with pytest.raises(
        ValueError, match=r"two ways: the processing_class says .* the eval_dataset's transform"
    ):
        LUABTrainer(plain, args, eval_dataset=data, processing_class=processor)
    with pytest.raises(ValueError, match=r"two ways: the LUABModel says .* the train_dataset's transform"):
        LUABTrainer(LUABModel(plain, mean=MEAN, std=STD), args, train_dataset=data)


@pytest.mark.parametrize("model", ["vit", "convnext"])
@pytest.mark.parametrize("loss", ["none", "point", "attention", "both"])
def test_every_loss_trains_and_is_logged(tmp_path, model, loss):
    run = trainer(tmp_path, model, loss=loss)
    before = weights_of(run)
    run.train()
    terms = {"none": ["ce"], "point": ["ce", "point"], "attention": ["ce", "attention"]}
    expected = terms.get(loss, ["ce", "point", "attention"])
    assert [key for key in ("ce", "point", "attention") if logged(run, key)] == expected
    weights = {"ce": 1, "point": 4, "attention": 3}
    for entry in run.state.log_history[:-1]:
        assert entry["loss"] == pytest.approx(sum(weights[t] * entry[t] for t in expected), rel=1e-4)
    changed = [name for name, value in weights_of(run).items() if not torch.equal(value, before[name])]
    assert len(changed) > len(before) / 2


@pytest.mark.parametrize(
    ("kind", "model", "several"),
    [
        *((kind, "vit", False) for kind in get_args(ByproductKind)),
        ("click", "convnext", False),
        ("scanpath", "convnext", False),
        ("boxes", "vit", True),
        ("heatmap", "convnext", True),
    ],
)
def test_batch_of_8_is_accumulation_of_8(tmp_path, kind, model, several):
    """ViT's forward takes loss arguments and ConvNeXt's refuses them, so transformers alone would differ.

    Rows without a byproduct are among them, and with `several` rows with two targets.
    """
    rows = traced(looked_dataset(16, several=several))
    more = {"columns": Columns(label="labels"), "num_labels": CLASSES} if several else {}
    data = ViewDataset(rows, EvalTransform(SETTINGS), byproduct=kind, **more)
    problem = {"problem_type": "multi_label_classification"} if several else {}
    results, logs = [], []
    for size, steps in ((8, 1), (1, 8)):
        run = trainer(
            tmp_path, tiny_model(model, num_labels=CLASSES, **problem), train=data, byproduct=kind,
            per_device_train_batch_size=size, gradient_accumulation_steps=steps, max_steps=2, optim="sgd",
        )  # fmt: skip
        before = weights_of(run)
        run.train()
        results.append(weights_of(run))
        logs.append(list(zip(*(logged(run, name) for name in TERMS), strict=True)))
    assert_same_weights(*results, atol=1e-5, rtol=1e-4)
    for one, two in zip(*logs, strict=True):
        assert two == pytest.approx(one, rel=1e-4)
        assert all(term > 0 for term in one)  # the byproduct is part of what is compared
    assert any(not torch.equal(value, before[name]) for name, value in results[0].items())


def test_uneven_last_batch_counts_like_a_full_one(tmp_path):
    """5 rows in batches of 2, 2 and 1, accumulated: the loss is the mean of three means, the terms are row
    means.
    """
    data = samples(5)
    run = trainer(
        tmp_path, train=data, per_device_train_batch_size=2, gradient_accumulation_steps=3, max_steps=1,
        train_sampling_strategy="sequential",
    )  # fmt: skip
    with torch.no_grad():
        means = [run.model.eval()(**collate([data[i] for i in batch])) for batch in ((0, 1), (2, 3), (4,))]
    run.train()
    assert logged(run)[0] == pytest.approx(sum(m.loss.item() for m in means) / 3, rel=1e-4)
    ce = torch.cat([m.terms["ce"] for m in means])
    assert len(ce) == 5
    assert logged(run, "ce")[0] == pytest.approx(ce.mean().item(), rel=1e-4)


def test_evaluation_is_the_exact_mean_over_rows(tmp_path):
    data = samples(11)
    run = trainer(tmp_path, evaluation=data, per_device_eval_batch_size=4)
    metrics = run.evaluate()
    with torch.no_grad():
        output = run.model.eval()(**collate([data[i] for i in range(11)]))
    assert metrics["eval_loss"] == pytest.approx(output.loss.item(), rel=1e-4)
    for name, term in output.terms.items():
        assert metrics[f"eval_{name}"] == pytest.approx(term.mean().item(), rel=1e-4)
    hits = sum(int(output.logits[i].argmax()) == i % NUM_LABELS for i in range(11))
    assert metrics["eval_accuracy"] == pytest.approx(hits / 11)


def test_training_terms_do_not_leak_into_evaluation_or_the_next_log(tmp_path):
    run = trainer(
        tmp_path, evaluation=samples(8), logging_steps=3, max_steps=6, eval_strategy="steps", eval_steps=2
    )
    run.train()
    with torch.no_grad():
        final = run.model.eval()(**collate([run.eval_dataset[i] for i in range(8)]))
    assert logged(run, "eval_ce")[-1] == pytest.approx(final.terms["ce"].mean().item(), rel=1e-4)
    for entry in run.state.log_history:
        if "loss" in entry:
            assert entry["loss"] == pytest.approx(
                entry["ce"] + 4 * entry["point"] + 3 * entry["attention"], rel=1e-4
            )


def test_rows_without_a_byproduct_only_train_the_classifier(tmp_path):
    rows = [{**row, "click": None} for row in clicked_dataset(20)]
    run = trainer(tmp_path, train=ViewDataset(rows, EvalTransform(SETTINGS), byproduct="click"))
    run.train()
    assert logged(run, "point") == logged(run, "attention") == [0.0] * 4
    assert logged(run, "loss") == pytest.approx(logged(run, "ce"))


def test_label_smoothing_smooths_the_cross_entropy_only(tmp_path):
    data = samples(4)
    run = trainer(tmp_path, train=data, label_smoothing_factor=0.3, max_steps=1)
    with torch.no_grad():
        logits = run.model.eval()(**collate([data[i] for i in range(4)])).logits
    run.train()
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(4), label_smoothing=0.3)
    assert logged(run, "ce")[0] == pytest.approx(expected.item(), rel=1e-4)
    assert logged(run, "attention")[0] > 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"bf16": True},
        {"gradient_checkpointing": True},
        {"torch_compile": True, "torch_compile_backend": "eager"},
        {"dataloader_num_workers": 2},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_trainer_options_change_how_and_not_what(tmp_path, arguments):
    plain = trainer(tmp_path)
    plain.train()
    other = trainer(tmp_path, **arguments)
    other.train()
    tolerance = 0.05 if "bf16" in arguments else 1e-4
    for name in TERMS:
        assert logged(other, name) == pytest.approx(logged(plain, name), rel=tolerance, abs=tolerance / 10)


@pytest.mark.parametrize("model", ["vit", "convnext"])
def test_resumed_run_is_the_uninterrupted_run(tmp_path, model):
    """5 batches an epoch; checkpoints in the first epoch, at its end, and in the second; augmented views."""
    arguments = {"max_steps": 9, "save_strategy": "steps", "save_steps": 1, "lr_scheduler_type": "cosine"}
    whole = trainer(tmp_path / "whole", model, train=samples(train=True), **arguments)
    whole.train()
    assert len({round(loss, 6) for loss in logged(whole)}) == 9
    for step in (2, 5, 7):
        resumed = trainer(
            tmp_path / "resumed", tiny_model(model, seed=99), train=samples(train=True), **arguments
        )
        resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{step}"))
        for name in TERMS:
            assert logged(resumed, name) == pytest.approx(logged(whole, name), rel=1e-5, abs=1e-7)
        assert_same_weights(weights_of(whole), weights_of(resumed), atol=1e-6, rtol=1e-5)


def test_views_change_from_epoch_to_epoch(tmp_path):
    run = trainer(tmp_path, train=samples(4, train=True), learning_rate=0.0, max_steps=3, loss="none")
    run.train()
    assert len({round(loss, 5) for loss in logged(run)}) == 3


def test_load_best_model_at_end_brings_the_head_back(tmp_path):
    run = trainer(
        tmp_path, evaluation=samples(8), max_steps=4, learning_rate=0.05, save_strategy="steps", save_steps=1,
        eval_strategy="steps", eval_steps=1, load_best_model_at_end=True, metric_for_best_model="eval_ce",
        greater_is_better=False, save_total_limit=2,
    )  # fmt: skip
    run.train()
    best = min(logged(run, "eval_ce"))
    index = logged(run, "eval_ce").index(best)
    assert index < 3, "the last model is the best one: nothing had to be brought back"
    metrics = run.evaluate()
    assert metrics["eval_ce"] == pytest.approx(best, rel=1e-4)
    assert metrics["eval_point"] == pytest.approx(logged(run, "eval_point")[index], rel=1e-4)


def test_a_ready_luab_model_is_taken_as_it_is(tmp_path):
    luab = LUABModel(tiny_model("convnext"), "both", **WEIGHTS, mean=MEAN, std=STD)
    assert trainer(tmp_path, luab).model is luab


def test_ignored_labels_are_refused(tmp_path):
    data = clicked_dataset(4)
    wrong = data.add_column("target", [0, 1, -1, 2])
    from luab_data.rows.columns import Columns

    run = trainer(
        tmp_path, train=ViewDataset(wrong, EvalTransform(SETTINGS), columns=Columns(label="target"))
    )
    with pytest.raises(ValueError, match="a label is -1"):
        run.train()


def test_config_is_copied_and_shown(tmp_path):
    config = LUABConfig(str(tmp_path), hub_token="hf_secret")
    assert config.label_names == ["labels"]
    assert copy.deepcopy(config).loss == "attention"
    assert "hf_secret" not in config.to_json_string()
