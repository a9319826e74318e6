"""The background mix that nobody asked for: which runs have it, and that all they say of it is so."""

import json

import datasets
import pytest
from fixtures.clicked import clicked_dataset
from fixtures.small_runs import options, write_config, write_splits
from fixtures.tiny_models import IMAGE_SIZE, NUM_LABELS, tiny_model

from luab_data.errors import SourceError
from luab_trainer.arguments import parse
from luab_trainer.config import DISC, LUABConfig
from luab_trainer.data.background import BackgroundMix
from luab_trainer.data.cutmix import CutMix
from luab_trainer.data.dataset import ViewDataset, ViewIterableDataset
from luab_trainer.run import train
from luab_trainer.trainer import LUABTrainer
from luab_vision.processors import square_processor
from luab_vision.transforms import EvalTransform, ImageSettings

MIX = BackgroundMix()  # by default
TRANSFORM = EvalTransform(ImageSettings(size=IMAGE_SIZE))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """one/: a label an image. several/: the same as a list of labels, with points of classes. config/."""
    folder = tmp_path_factory.mktemp("runs")
    write_config(folder / "config")
    write_splits(folder / "one", train=16)
    rows = clicked_dataset(16)
    points = [
        [] if click is None else [{"label": label, **click}]
        for label, click in zip(rows["label"], rows["click"], strict=True)
    ]
    table = {"image": rows["image"], "labels": [[label] for label in rows["label"]], "points": points}
    (folder / "several").mkdir()
    datasets.Dataset.from_dict(table).to_parquet(folder / "several" / "train.parquet")
    return folder


@pytest.mark.parametrize(
    ("data", "given", "share"),
    [
        ("one", {"loss": "attention"}, MIX.share),
        ("one", {"loss": "both"}, MIX.share),
        ("one", {"loss": "point"}, 0.0),
        ("one", {"loss": "none"}, 0.0),
        ("one", {"loss": "attention", "background_mix": 0.0}, 0.0),
        ("one", {"loss": "none", "background_mix": 0.3, "background_radius": 0.2}, 0.3),
        ("one", {"loss": "attention", "background_shape": DISC}, MIX.share),
        ("several", {"loss": "attention"}, 0.0),
        ("several", {"loss": "attention", "background_mix": 1.0}, 1.0),
    ],
    ids=str,
)
def test_a_run_says_and_saves_the_mix_that_it_has(folders, tmp_path, capsys, data, given, share):
    arguments = options(folders / "config", folders / data, tmp_path, **given)
    trainer = train(*parse(arguments, ""))
    mixer = trainer.train_dataset.to_sample.mixer
    radius = given.get("background_radius", MIX.radius)
    shape = given.get("background_shape", MIX.shape)
    assert (None if mixer is None else mixer.mix) == (
        BackgroundMix(share, radius, shape=shape) if share else None
    )
    fact = f"{share:.0%} of the crops with a byproduct, {shape} within radius {radius:g}"
    announced, card = capsys.readouterr().out, (tmp_path / "README.md").read_text()
    for said in (announced, card):
        assert ("background mix" in said) == (fact in said) == (share > 0)
    saved = json.loads((tmp_path / "training_args.json").read_text())
    names = "background_mix", "background_radius", "background_shape"
    assert [saved[name] for name in names] == [share, radius, shape]


def test_the_defaults_are_those_of_the_mix():
    config = LUABConfig("out", use_cpu=True)
    assert config.background_mix is None
    config.settle_mix(multi_label=False)
    mix = BackgroundMix(config.background_mix, config.background_radius, shape=config.background_shape)
    assert mix == MIX
    config.settle_mix(multi_label=True)
    assert config.background_mix == MIX.share, "settled once"


@pytest.mark.parametrize(
    ("kind", "share"), [("boxes", MIX.share), ("masks", MIX.share), ("scanpath", 0.5), ("heatmap", 0.5)]
)
def test_the_share_is_that_of_what_the_byproduct_tells(kind, share):
    config = LUABConfig("out", use_cpu=True, byproduct=kind)
    config.settle_mix(multi_label=False)
    assert config.background_mix == share
    config = LUABConfig("out", use_cpu=True, byproduct=kind)
    config.settle_mix(multi_label=True)
    assert config.background_mix == 0


@pytest.mark.parametrize("streaming", [False, True])
def test_a_run_with_the_default_resumes_and_without_it_does_not(folders, tmp_path, monkeypatch, streaming):
    # `datasets` waits 5 s after each shuffled pass for Arrow's threads to end (Arrow's issue 45214).
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0.5)
    saved = {"loss": "attention", "do_eval": False, "save_strategy": "steps", "save_steps": 1}
    saved |= {"streaming": True} if streaming else {}
    train(*parse(options(folders / "config", folders / "one", tmp_path, **saved), ""))
    again = {**saved, "max_steps": 2, "resume_from_checkpoint": True}
    other = options(folders / "config", folders / "one", tmp_path, **again, background_mix=0.0)
    with pytest.raises(SourceError, match=rf"--background_mix is 0.0, the checkpoint's is {MIX.share}"):
        train(*parse(other, ""))
    train(*parse(options(folders / "config", folders / "one", tmp_path, **again), ""))
    assert (tmp_path / "checkpoint-2").is_dir()


def test_an_evaluation_has_none(folders, tmp_path, capsys):
    train(*parse(options(folders / "config", folders / "one", tmp_path), ""))
    capsys.readouterr()
    only = {"do_train": False, "model": tmp_path, "eval_split": "train"}
    trainer = train(*parse(options(None, folders / "one", tmp_path / "again", **only), ""))
    assert not trainer.args.background_mix
    assert "background mix" not in capsys.readouterr().out


# ---- In Python, where the dataset decides


def rows(mix=None, cutmix=None, kind=ViewDataset):
    clicked = clicked_dataset(8) if kind is ViewDataset else clicked_dataset(8).to_iterable_dataset()
    return kind(clicked, TRANSFORM, byproduct="click", mix=mix, cutmix=cutmix, num_labels=NUM_LABELS)


def trainer(folder, dataset, **arguments):
    arguments = {
        "max_steps": 1, "per_device_train_batch_size": 4, "save_strategy": "no", "use_cpu": True,
        "disable_tqdm": True, "report_to": "none", **arguments,
    }  # fmt: skip
    return LUABTrainer(
        tiny_model("vit"),
        LUABConfig(str(folder), **arguments),
        train_dataset=dataset,
        processing_class=square_processor(IMAGE_SIZE),
    )


@pytest.mark.parametrize("kind", [ViewDataset, ViewIterableDataset])
def test_a_trainer_takes_the_mix_of_its_dataset(tmp_path, kind):
    run = trainer(tmp_path, rows(BackgroundMix(0.75, 0.25, shape=DISC), CutMix(0.5, 0.25), kind))
    assert (run.args.background_mix, run.args.background_radius) == (0.75, 0.25)
    assert run.args.background_shape == DISC
    assert (run.args.cutmix, run.args.cutmix_alpha) == (0.5, 0.25)
    run.train()
    run.save_model()
    card = (tmp_path / "README.md").read_text()
    assert "| background mix | 75% of the crops with a byproduct, disc within radius 0.25 |" in card
    assert "| cutmix | 50% of the crops, alpha 0.25 |" in card
    assert json.loads((tmp_path / "training_args.json").read_text())["background_mix"] == 0.75

    without = trainer(tmp_path, rows(kind=kind))
    assert (without.args.background_mix, without.args.background_radius) == (0, MIX.radius)
    assert (without.args.cutmix, without.args.cutmix_alpha) == (0, 1)


@pytest.mark.parametrize(
    ("mix", "arguments", "message"),
    [
        (
            None,
            {"background_mix": 0.5},
            r"does not mix: make it with mix=BackgroundMix\(0.5, R, shape='object'\), or leave",
        ),
        (MIX, {"background_mix": 0.5}, r"mix=BackgroundMix\(S, R, .*\): make it with .*\(0.5, R, .*\)"),
        (
            MIX,
            {"background_radius": 0.2},
            r"background_mix=S, background_radius=0.2 and background_shape=object, but",
        ),
        (
            MIX,
            {"background_shape": DISC},
            r"background_shape=disc, but .*\(S, R, shape='object'\): make it with",
        ),
        (MIX, {"background_mix": 0.0}, r"BackgroundMix\(S, R, .*\): make it without background_mix"),
    ],
)
def test_a_dataset_that_mixes_otherwise_is_refused(tmp_path, mix, arguments, message):
    message = message.replace("S", f"{MIX.share:g}").replace("R", f"{MIX.radius:g}")
    with pytest.raises(ValueError, match=message):
        trainer(tmp_path, rows(mix), **arguments)


def test_what_is_not_given_is_the_datasets(tmp_path):
    run = trainer(tmp_path, rows(BackgroundMix(0.5, 0.2)), background_mix=0.5)
    assert (run.args.background_mix, run.args.background_radius) == (0.5, 0.2)


def test_a_share_of_0_is_no_mix(tmp_path):
    trainer(tmp_path, rows(BackgroundMix(0.0, 0.2)), background_mix=0.0).train()


def test_a_cutmix_of_another_share_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"cutmix=0.75 and cutmix_alpha=0.25, but .* cutmix=CutMix\(0.5, 0.25\)"
    ):
        trainer(tmp_path, rows(cutmix=CutMix(0.5, 0.25)), cutmix=0.75)


@pytest.mark.parametrize("value", [0.3, 0.0])
def test_a_search_over_the_mix_of_a_dataset_is_refused(tmp_path, value):
    """A hyperparameter search sets the arguments between the trainer's construction and its first step."""
    run = trainer(tmp_path, rows(MIX))
    run.args.background_mix = value
    with pytest.raises(ValueError, match=rf"the training dataset is made with .*\({MIX.share:g}, "):
        run.train()


@pytest.mark.parametrize("kind", [ViewDataset, ViewIterableDataset])
def test_the_holes_which_no_option_says_may_not_change_on_resume(tmp_path, kind):
    saved = {"save_strategy": "steps", "save_steps": 1}
    trainer(tmp_path, rows(MIX, kind=kind), **saved).train()
    other = rows(BackgroundMix(holes=0.75), kind=kind)
    with pytest.raises(SourceError, match=r"the holes of the background mix is 0.75, the checkpoint's is 0"):
        trainer(tmp_path, other, **saved, max_steps=2).train(resume_from_checkpoint=True)
    trainer(tmp_path, rows(MIX, kind=kind), **saved, max_steps=2).train(resume_from_checkpoint=True)
    assert (tmp_path / "checkpoint-2").is_dir()
