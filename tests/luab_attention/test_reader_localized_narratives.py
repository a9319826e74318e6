"""Localized Narratives: off-image samples, segments, several narratives an image, words of classes."""

import json

import pytest
from fixtures.converted import converted, near, write_images

from luab_data.errors import SourceError


def narrative(image_id="137576", traces=None, annotator=93, **more):
    # The first sample is the source's own example.
    traces = traces or [[{"x": 0.2086, "y": -0.0533, "t": 0.022}, {"x": 0.3, "y": 0.4, "t": 1.0}]]
    item = {"dataset_id": "mscoco_train2017", "image_id": image_id, "annotator_id": annotator}
    item |= {"caption": "A cat.", "timed_caption": [], "traces": traces, "voice_recording": "x.ogg"}
    return item | more


def convert(tmp_path, *items, images=None, **options):
    path = tmp_path / "narratives.jsonl"
    path.write_text("".join(each if isinstance(each, str) else json.dumps(each) + "\n" for each in items))
    return converted(tmp_path / "out", "localized_narratives", path, images, **options)


def test_samples_outside_stay_and_segments_are_kept_apart(tmp_path):
    traces = narrative()["traces"] + [[{"x": 1.2, "y": 0.5, "t": 2.5}]]
    images = write_images(tmp_path / "train", {"000000137576.jpg": (8, 6)})
    found = convert(tmp_path, narrative(traces=traces), narrative(annotator=4), images=images)
    first, second = found.rows["000000137576"]["scanpaths"]
    assert first["x"] == near([0.2086, 0.3, 1.2]) and first["y"] == near([-0.0533, 0.4, 0.5])
    assert first["time"] == [22, 1000, 2500] and first["segment"] == [0, 0, 1]
    assert (first["annotator"], second["annotator"]) == ("93", "4")
    assert (found.rows["000000137576"]["width"], found.rows["000000137576"]["height"]) == (8, 6)


def test_the_words_that_name_a_class_give_it_their_part_of_the_trace(tmp_path):
    traces = [[{"x": t / 10, "y": 0.5, "t": t} for t in range(5)], [{"x": 0.9, "y": 0.5, "t": 5}]]
    said = [("A", 0, 0.5), ("polar", 1, 2), ("Bear,", 2, 2.4), ("and", 2.5, 2.6), ("kittens.", 4, 5)]
    timed = [{"utterance": w, "start_time": a, "end_time": b} for w, a, b in said]
    words = ["polar bear", "cat=cat,kittens", "bear"]
    found = convert(tmp_path, narrative("7", traces, timed_caption=timed), words=words)
    names = found.dataset.features["labels"].feature.names
    paths = found.rows["000000000007"]["scanpaths"]
    named = {names[path["label"]]: path for path in paths if path["label"] >= 0}
    assert len(paths) == 4 and len(paths[0]["x"]) == 6
    assert named["polar bear"]["time"] == [1000, 2000]
    assert named["bear"]["time"] == [2000]
    assert named["cat"]["time"] == [4000, 5000] and named["cat"]["segment"] == [0, 1]
    assert sorted(names) == ["bear", "cat", "polar bear"]
    assert found.rows["000000000007"]["labels"] == [0, 1, 2]


def test_other_datasets_keep_their_ids(tmp_path):
    found = convert(tmp_path, narrative("0a1b2c3d", dataset_id="open_images_train"))
    assert list(found.rows) == ["0a1b2c3d"]


def test_every_bad_line_is_rejected_with_its_reason(tmp_path):
    back = [[{"x": 0, "y": 0, "t": 2}, {"x": 0, "y": 0, "t": 1}]]
    found = convert(
        tmp_path,
        narrative(),
        narrative(traces=[[{"x": 1e308, "y": 0, "t": 0}]]),
        narrative(traces=[[]]),
        narrative(traces=[[{"x": 0, "t": 0}]]),
        narrative(traces=back),
        narrative(traces=[[{"x": float("nan"), "y": 0, "t": 0}]]),
        "{\n",
        "[1]\n",
        narrative(traces=[[{"x": 2000, "y": 0, "t": 0}]]),
    )
    reasons = [found.rejects[f"narratives.jsonl, line {number}"] for number in range(2, 10)]
    expected = [
        "x is 1e+308",
        "no sample",
        "no 'y'",
        "times go back",
        "x is nan",
        "not JSON",
        "'image_id'",
        "away",
    ]
    assert [text in reason for text, reason in zip(expected, reasons, strict=True)] == 8 * [True], reasons


def test_words_that_mean_two_classes_are_an_error(tmp_path):
    for words in (["cat", "kitten=cat"], ["="], ["..."]):
        with pytest.raises(SourceError, match="--words"):
            convert(tmp_path, narrative(), words=words)
