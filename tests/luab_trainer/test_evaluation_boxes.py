"""Images and a file of boxes to evaluate on, beside training rows with columns of one's own names."""

from dataclasses import replace

import datasets
import pytest
from fixtures.boxed import boxed_row
from fixtures.factories import image_bytes, noise_image
from fixtures.small_runs import options
from fixtures.tiny_models import tiny_model

from luab_attention.reading import ReadRows
from luab_data.errors import SourceError
from luab_data.rows.columns import Columns
from luab_trainer.arguments import RunArguments
from luab_trainer.data.inputs import read_evaluation_boxes
from luab_trainer.run import main

HEADER = "file,x0,y0,x1,y1,width,height\n"


@pytest.fixture
def own(tmp_path):
    """A dataset with columns of one's own names, and images with a CSV to evaluate on."""
    rows = boxed_row({"bbox": [], "category": []})
    rows = datasets.concatenate_datasets([rows] * 4).remove_columns("objects")
    rows = rows.rename_columns({"image": "photo", "label": "species", "click": "tap"})
    datasets.DatasetDict(train=rows).save_to_disk(tmp_path / "data")
    for name in ("Cat", "dog"):
        (tmp_path / "eval" / name).mkdir(parents=True)
        (tmp_path / "eval" / name / "0.png").write_bytes(image_bytes(noise_image(32, 32)))
    (tmp_path / "boxes.csv").write_text(HEADER + "dog/0.png,0,0,31,31,32,32\nCat/0.png,0,0,9,9,32,32\n")
    return tmp_path


def test_boxes_for_columns_of_ones_own_names(own, capsys):
    columns = {"image_column": "photo", "label_column": "species", "point_column": "tap"}
    evaluated = {"eval_dataset": str(own / "eval"), "eval_boxes": str(own / "boxes.csv")}
    tiny_model("convnext", num_labels=2).config.save_pretrained(own / "model")
    main(options(own / "model", own / "data", own / "out", loss="attention", **columns, **evaluated))
    assert '"eval_pointing_game_images": 2.0' in (own / "out" / "eval_results.json").read_text()


def test_a_csv_for_several_classes_an_image_is_refused(own):
    rows = boxed_row({"bbox": [], "category": []}, label=[0, 1]).rename_column("label", "labels")
    whole = ReadRows(rows, Columns(label="labels"), None, [])
    run = RunArguments(eval_dataset=str(own / "eval"))
    with pytest.raises(SourceError, match=r"CSV gives each image the one class .* column 'labels'"):
        read_evaluation_boxes(run, str(own / "boxes.csv"), whole)
    with pytest.raises(SourceError, match="is a folder"):
        read_evaluation_boxes(run, str(own / "eval"), whole)
    with pytest.raises(SourceError, match="needs --eval_dataset"):
        read_evaluation_boxes(replace(run, eval_dataset=None), str(own / "boxes.csv"), whole)


def test_boxes_of_the_stored_pixels_of_a_turned_photo_are_not_scored(own, caplog):
    for name in ("Cat", "dog"):
        (own / "eval" / name / "0.png").write_bytes(image_bytes(noise_image(24, 32)))
    columns = {"image_column": "photo", "label_column": "species", "point_column": "tap"}
    evaluated = {"eval_dataset": str(own / "eval"), "eval_boxes": str(own / "boxes.csv")}
    tiny_model("convnext", num_labels=2).config.save_pretrained(own / "model")
    arguments = options(own / "model", own / "data", own / "out", loss="attention", **columns, **evaluated)
    lines = HEADER + "dog/0.png,0,0,9,9,32,24\n"
    (own / "boxes.csv").write_text(lines + "Cat/0.png,0,0,9,9,24,32\n")
    main(arguments)
    assert '"eval_pointing_game_images": 1.0' in (own / "out" / "eval_results.json").read_text()
    assert "leaves out 1 box of an image of another orientation" in caplog.text
    assert "dog/0.png: measure them on the upright image" in caplog.text
    (own / "boxes.csv").write_text(lines)
    with pytest.raises(SystemExit, match="no row has boxes that can be scored: 1 box of an image"):
        main([*arguments, "--output_dir", str(own / "second")])
    assert not (own / "second" / "model.safetensors").exists(), "nothing is trained"
