"""The ways of bringing one's own data, each by options of run.py alone: docs/data.md."""

import json

import datasets
import pytest
from fixtures.tiny_models import tiny_model
from fixtures.ways_in import (
    CLASSES,
    CLICKS,
    FILES,
    HEIGHT,
    WIDTH,
    labels,
    table,
    write_images,
    write_lines,
    write_webdataset,
)

from luab_trainer.run import main, samples

DICTS = [{"x": x, "y": y} for x, y in CLICKS]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    tiny_model("vit", num_hidden_layers=1).config.save_pretrained(folder)
    return folder


def csv_beside_class_folders(folder):
    write_images(folder / "photos")
    lines = [{"file": file, "x": x, "y": y} for file, (x, y) in zip(FILES[:6], CLICKS, strict=False)]
    return {"dataset": folder / "photos", "points_file": write_lines(folder / "clicks.csv", lines)}, 6


def metadata_csv(folder):
    write_images(folder)
    lines = [
        {"file_name": file, "click_x": round(100 * x, 1), "click_y": 100 * y}
        for file, (x, y) in zip(FILES, CLICKS, strict=True)
    ]
    write_lines(folder / "metadata.csv", lines)
    return {"dataset": folder, "x_column": "click_x", "y_column": "click_y", "point_units": "percent"}, 8


def metadata_jsonl_of_clicks_only(folder):
    write_images(folder / "train")
    lines = [{"file_name": file, "click": click} for file, click in zip(FILES, DICTS, strict=True)]
    write_lines(folder / "train" / "metadata.jsonl", lines)
    return {"dataset": folder}, 8


def jsonl(folder):
    write_images(folder / "images")
    lines = [
        {"photo": f"images/{file}", "species": file[:3], "tap": {"cx": x * WIDTH, "cy": y * HEIGHT}}
        for file, (x, y) in zip(FILES, CLICKS, strict=True)
    ]
    file = write_lines(folder / "rows.jsonl", lines)
    names = {"image_column": "photo", "label_column": "species", "x_column": "tap.cx", "y_column": "tap.cy"}
    return {"dataset": file, "point_units": "pixels", **names}, 8


def parquet_of_bytes(folder):
    table(label=labels(), click=[[x, y] for x, y in CLICKS]).to_parquet(folder / "train.parquet")
    return {"dataset": folder}, 8


def parquet_of_paths(folder):
    write_images(folder)
    rows = datasets.Dataset.from_dict({"image": FILES, "label": [0, 1] * 4, "click": [None, *DICTS[1:]]})
    rows.to_parquet(folder / "rows.parquet")
    return {"dataset": folder / "rows.parquet"}, 7


def webdataset(folder):
    file = write_webdataset(folder / "shard-000.tar")
    return {"dataset": file, "image_column": "png", "label_column": "cls", "point_column": "json.click"}, 8


def webdataset_of_text(folder):
    file = write_webdataset(folder / "shard-000.tar", as_text=True)
    return {"dataset": file, "image_column": "png", "label_column": "cls", "point_column": "txt"}, 8


def metadata_of_x_and_y(folder):
    write_images(folder)
    rows = [{"file_name": file, "x": x, "y": y} for file, (x, y) in zip(FILES, CLICKS, strict=True)]
    write_lines(folder / "metadata.csv", rows)
    return {"dataset": folder}, 8


def csv_of_json(folder):
    write_images(folder)
    rows = [
        {"image": file, "label": file[:3], "keypoint": json.dumps([{**click, "keypointlabels": ["nose"]}])}
        for file, click in zip(FILES, DICTS, strict=True)
    ]
    return {"dataset": write_lines(folder / "rows.csv", rows)}, 8


def save_to_disk(folder):
    rows = table(breed=labels(), where=DICTS).rename_column("image", "photo")
    datasets.DatasetDict(fit=rows, dev=rows).save_to_disk(folder / "mine")
    names = {"image_column": "photo", "label_column": "breed", "point_column": "where", "train_split": "fit"}
    return {"dataset": folder / "mine", **names}, 8


def several_labels(folder):
    points = [[{"label": name, "x": x, "y": y}] for name, (x, y) in zip(labels(), CLICKS, strict=True)]
    table(labels=[[name] for name in labels()], points=points).to_parquet(folder / "train.parquet")
    return {"dataset": folder}, 8


def several_points(folder):
    points = [[{"x": x, "y": y, "weight": 1.0}, {"x": y, "y": x, "weight": 3.0}] for x, y in CLICKS]
    table(label=labels(), click=points).to_parquet(folder / "train.parquet")
    return {"dataset": folder}, 8


WAYS = (
    csv_beside_class_folders,
    metadata_csv,
    metadata_jsonl_of_clicks_only,
    jsonl,
    parquet_of_bytes,
    parquet_of_paths,
    webdataset,
    webdataset_of_text,
    metadata_of_x_and_y,
    csv_of_json,
    save_to_disk,
    several_labels,
    several_points,
)


@pytest.mark.parametrize("way", WAYS)
def test_trains_by_options_alone(way, config, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "data").mkdir()
    options, with_target = way(tmp_path / "data")
    options = {
        "from_config": config, "loss": "both", "output_dir": tmp_path / "out", "max_steps": 1,
        "min_crop": 1.0,
        "per_device_train_batch_size": 8, "save_strategy": "no", "use_cpu": True, "disable_tqdm": True,
        "logging_steps": 1, **options,
    }  # fmt: skip
    seen = {}
    monkeypatch.setattr("luab_trainer.run.samples", watching(seen, samples))
    main([text for name, value in options.items() for text in (f"--{name}", str(value))])
    config_of = json.loads((tmp_path / "out" / "config.json").read_text())
    names = [config_of["id2label"][str(number)] for number in range(2)]
    assert names == (
        ["0", "1"] if way in (webdataset, webdataset_of_text, parquet_of_paths) else list(CLASSES)
    )
    dataset = seen["train"]
    targets = [dataset[i]["target_points"] for i in range(8)]
    firsts = [each[0][0] for each in targets if each]  # of the whole image, which may be flipped
    clicked = CLICKS[8 - with_target :] if way is parquet_of_paths else CLICKS[:with_target]
    assert sorted(min(x, 1 - x) for x, _ in firsts) == pytest.approx(sorted(x for x, _ in clicked), abs=0.01)
    assert [y for _, y in firsts] == pytest.approx([0.5] * with_target)
    assert (tmp_path / "out" / "model.safetensors").is_file()


def watching(seen, samples):
    def watched(rows, *arguments, **named):
        found = samples(rows, *arguments, **named)
        seen.setdefault("train", found)
        return found

    return watched
