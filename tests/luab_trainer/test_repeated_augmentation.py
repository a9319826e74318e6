"""Repeated augmentation: each image several times in a row, the same in all processes and after resuming."""

import numpy as np
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from fixtures.clicked import clicked_dataset
from fixtures.small_runs import options, write_config, write_splits
from fixtures.tiny_models import IMAGE_SIZE, tiny_model
from safetensors.torch import load_file
from torch.utils.data import BatchSampler, DataLoader

from luab_trainer.arguments import parse
from luab_trainer.config import LUABConfig
from luab_trainer.data.collator import collate
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.data.epochs import RepeatedSampler
from luab_trainer.run import main, train
from luab_trainer.trainer import LUABTrainer
from luab_vision.processors import square_processor
from luab_vision.transforms import ImageSettings, TrainTransform

TRANSFORM = TrainTransform(ImageSettings(size=IMAGE_SIZE))


def rows(count: int = 10) -> ViewDataset:
    return ViewDataset(
        clicked_dataset(count), TrainTransform(ImageSettings(size=IMAGE_SIZE)), byproduct="click"
    )


def test_an_epoch_has_as_many_samples_as_rows_of_a_share_of_the_images():
    dataset = rows(10)
    sampler = RepeatedSampler(dataset, 3, seed=5)
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == 10
    images = [row for row, _ in drawn]
    assert [again for _, again in drawn] == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert images[0] == images[1] == images[2] != images[3] and len(set(images)) == 4
    assert list(sampler) == drawn and list(RepeatedSampler(dataset, 3, seed=6)) != drawn
    dataset.set_epoch(1)
    assert list(sampler) != drawn
    seen = set()
    for epoch in range(40):
        dataset.set_epoch(epoch)
        seen |= {row for row, _ in sampler}
    assert seen == set(range(10))


def test_each_repetition_has_a_view_of_its_own_and_the_first_is_the_usual_one():
    dataset = rows()
    samples = dataset.__getitems__([(3, 0), (3, 1), (3, 2), 3])
    assert {sample["row"] for sample in samples} == {3} and len({sample["labels"] for sample in samples}) == 1
    pixels = [sample["pixel_values"].numpy().tobytes() for sample in samples]
    assert len(set(pixels[:3])) == 3 and pixels[0] == pixels[3]
    assert len({sample["target_points"][0].tobytes() for sample in samples}) > 1
    np.testing.assert_array_equal(dataset[3, 1]["pixel_values"], samples[1]["pixel_values"])


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_see_what_one_process_sees(workers):
    dataset = rows()
    sampler = RepeatedSampler(dataset, 2, seed=0)
    loader = DataLoader(dataset, batch_size=4, sampler=sampler, num_workers=workers, collate_fn=collate)
    loaded = torch.cat([batch["pixel_values"] for batch in loader])
    assert torch.equal(loaded, collate(dataset.__getitems__(list(sampler)))["pixel_values"])


def test_processes_share_the_batches_of_one_order():
    sampler = RepeatedSampler(rows(16), 2, seed=0)
    whole = list(BatchSampler(sampler, 4, drop_last=False))
    parts = [list(BatchSamplerShard(BatchSampler(sampler, 4, False), 2, process)) for process in (0, 1)]
    assert [batch for step in zip(*parts, strict=True) for batch in step] == whole


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_config(folder / "config")
    write_splits(folder / "data", train=16)
    return folder


def test_a_run_says_it_and_goes_on_within_an_epoch_as_if_undisturbed(folders, tmp_path, capsys):
    given = {
        "do_eval": False, "save_strategy": "steps", "save_steps": 1, "repeated_augmentation": 3,
        "per_device_train_batch_size": 4, "lr_scheduler_type": "constant",
    }  # fmt: skip

    def run(name: str, steps: int, **more):
        arguments = options(folders / "config", folders / "data", tmp_path / name, **given, **more)
        return train(*parse([*arguments, "--max_steps", str(steps)], ""))

    whole = run("whole", 7)  # of 4 steps an epoch
    assert "repeated augmentation     3 crops of an image in a row" in capsys.readouterr().out
    assert whole.state.epoch == 7 / 4
    run("parts", 6)
    resumed = run("parts", 7, resume_from_checkpoint=True)
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("parts", "whole"))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert resumed.state.log_history[-2]["loss"] == whole.state.log_history[-2]["loss"]
    with pytest.raises(SystemExit, match="--repeated_augmentation is 2, the checkpoint's is 3"):
        again = {**given, "repeated_augmentation": 2, "max_steps": 9, "resume_from_checkpoint": True}
        main(options(folders / "config", folders / "data", tmp_path / "parts", **again))


def test_the_trainer_draws_the_repetitions(folders, tmp_path):
    seen = []

    class Watched(ViewDataset):
        def __getitems__(self, numbers):
            seen.extend(numbers)
            return super().__getitems__(numbers)

    dataset = Watched(clicked_dataset(8), TRANSFORM, byproduct="click")
    arguments = {"repeated_augmentation": 2, "num_train_epochs": 2, "data_seed": 7, "use_cpu": True}
    LUABTrainer(
        tiny_model("vit"),
        LUABConfig(str(tmp_path), save_strategy="no", report_to="none", **arguments),
        train_dataset=dataset,
        processing_class=square_processor(IMAGE_SIZE),
    ).train()
    expected = []
    for epoch in (0, 1):
        dataset.set_epoch(epoch)
        expected += list(RepeatedSampler(dataset, 2, seed=7))
    assert seen == expected


def test_other_datasets_are_refused(tmp_path):
    class Own(torch.utils.data.Dataset):
        def __len__(self):
            return 4

    with pytest.raises(ValueError, match="a ViewDataset, and the training dataset is a Own"):
        LUABTrainer(
            tiny_model("vit"), LUABConfig(str(tmp_path), repeated_augmentation=2), train_dataset=Own()
        )


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"repeated_augmentation": 0}, "--repeated_augmentation 0: give a number of times, 1 or more."),
        ({"repeated_augmentation": 2, "streaming": True}, "which a stream has not"),
        ({"repeated_augmentation": 2, "train_sampling_strategy": "sequential"}, "shuffles the rows"),
    ],
)
def test_wrong_options_are_refused_in_one_line(tmp_path, capsys, given, reason):
    with pytest.raises(SystemExit):
        parse(options(tmp_path, tmp_path, tmp_path, **given), "")
    assert reason in capsys.readouterr().err.splitlines()[-1]
