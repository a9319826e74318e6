"""Values that forked processes keep together: found as they were put, or not at all."""

import multiprocessing
import os
import pickle

import pytest
import torch
from datasets import Dataset
from fixtures.factories import image_bytes
from PIL import Image

from luab_trainer.data import cutout
from luab_trainer.data.background import BackgroundMix
from luab_trainer.data.collator import collate
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.data.kept import CHECK, PROBES, Kept
from luab_vision.transforms import ImageSettings, TrainTransform


def some(count, size=24):
    return {os.urandom(16): os.urandom(size) for _ in range(count)}


def test_what_is_kept_is_found():
    kept, values = Kept(24, 1000), some(200)
    for key, value in values.items():
        assert kept.get(key) is None
        kept.put(key, value)
    assert {key: kept.get(key) for key in values} == values


def test_what_does_not_fit_is_not_kept_and_the_rest_stays():
    kept, values = Kept(24, 20), some(100)
    for key, value in values.items():
        kept.put(key, value)
    found = {key: kept.get(key) for key in values if kept.get(key) is not None}
    assert 10 < len(found) <= 20
    assert found.items() <= values.items()


@pytest.mark.parametrize("place", [0, CHECK - 1, CHECK, CHECK + 23])
def test_a_value_that_two_wrote_at_once_is_not_found(place):
    kept = Kept(24, 1)
    ((key, value),) = some(1).items()
    kept.put(key, value)
    kept._memory[place] ^= 1
    assert kept.get(key) is None
    kept.put(key, value)  # its slot stays taken
    assert kept.get(key) is None


def test_several_keys_share_their_slots():
    kept = Kept(24, 1000)
    values = {(7).to_bytes(8, "little") + bytes([n]) * 8: bytes([n]) * 24 for n in range(1, PROBES + 2)}
    for key, value in values.items():
        kept.put(key, value)
    assert [kept.get(key) for key in values] == [*list(values.values())[:PROBES], None]


def test_a_forked_process_keeps_for_all():
    kept, values = Kept(24, 1000), some(50)
    process = multiprocessing.get_context("fork").Process(
        target=lambda: [kept.put(key, value) for key, value in values.items()]
    )
    process.start()
    process.join(60)
    assert {key: kept.get(key) for key in values} == values


def test_a_spawned_process_begins_empty():
    kept, values = Kept(24, 1000), some(5)
    for key, value in values.items():
        kept.put(key, value)
    copy = pickle.loads(pickle.dumps(kept))  # as a spawned process gets it
    assert [copy.get(key) for key in values] == [None] * 5
    copy.put(*next(iter(values.items())))
    assert copy.get(next(iter(values))) is not None


def test_the_next_epoch_of_a_loader_with_processes_cuts_nothing_anew(monkeypatch):
    pictures = [Image.effect_noise((32, 32), 60 + number).convert("RGB") for number in range(16)]
    rows = Dataset.from_list(
        [
            {"image": {"bytes": image_bytes(picture, "PNG"), "path": None}, "label": number,
             "click": {"x": 0.5, "y": 0.5}}
            for number, picture in enumerate(pictures)
        ]
    )  # fmt: skip
    transform = TrainTransform(ImageSettings(size=32), scale=(0.9, 1.0))
    view = ViewDataset(rows, transform, 0, byproduct="click", mix=BackgroundMix(share=1.0))
    generator = torch.Generator().manual_seed(0)
    loader = torch.utils.data.DataLoader(
        view, 4, shuffle=True, num_workers=2, collate_fn=collate, generator=generator,
        multiprocessing_context="fork",
    )  # fmt: skip
    first = [batch["pixel_values"].shape for batch in loader]
    assert len(first) == 4
    monkeypatch.setattr(cutout, "_grab_cut", None)
    assert [batch["pixel_values"].shape for batch in loader] == first
