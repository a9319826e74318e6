"""CUB: gaze with two lengths of header, ids that occur again, part clicks with their boxes."""

import pytest
from fixtures.converted import converted, near, write_images

from luab_attention.readers.cub_gha import SOURCE
from luab_data.errors import SourceError

NAME = "146.Forsters_Tern/Forsters_Tern_0016_152463.jpg"


def cub(tmp_path):
    folder = tmp_path / "CUB_200_2011"
    (folder / "parts").mkdir(parents=True)
    (folder / "images.txt").write_text(f"8464 {NAME}\n8465 147.Least_Tern/Least_Tern_1.jpg\n")
    (folder / "bounding_boxes.txt").write_text("8464 10.0 20.0 100.0 50.0\n")
    (folder / "parts/part_click_locs.txt").write_text(
        "8464 1 50.0 75.0 1 2.53\n8464 2 0.0 0.0 0 1.2\n8464 3 100.0 30.0 1 0.5\n9 1 1 1 1 1\n"
    )
    return folder


def test_lines_of_a_run_are_in_pixels_of_the_image(tmp_path):
    (tmp_path / "Fixation_run1.txt").write_text("8464,500,375,200,145,179,510,-3,20,\n8464,500,375,1,1,9\n")
    found = converted(tmp_path / "out", "cub_gha", tmp_path / "Fixation_run1.txt")
    first, second = found.rows["8464"]["scanpaths"]
    assert (first["x"][0], first["y"][0]) == near((0.4, 0.386667))
    assert first["duration"] == [179, 20] and first["x"][1] == near(1.02) and first["y"][1] == near(-0.008)
    assert second["duration"] == [9] and first["annotator"] == "Fixation_run1"


def test_runs_of_one_name_in_two_folders_are_two_viewers(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / "runs" / folder).mkdir(parents=True)
        (tmp_path / "runs" / folder / "Fixation_run1.txt").write_text("8464,500,375,200,145,179\n")
    found = converted(tmp_path / "out", "cub_gha", tmp_path / "runs")
    viewers = [path["annotator"] for path in found.rows["8464"]["scanpaths"]]
    assert viewers == ["a/Fixation_run1", "b/Fixation_run1"]


def test_a_folder_of_all_runs_and_single_ones_would_count_viewings_twice(tmp_path):
    (tmp_path / "Fixation.txt").write_text("1,500,400,500,400,0,0,250,200,100\n")
    (tmp_path / "Fixation_run1.txt").write_text("1,500,400,250,200,100\n")
    with pytest.raises(SourceError, match=r"runs \(Fixation_run1.txt\) and others \(Fixation.txt\).*twice"):
        converted(tmp_path / "out", "cub_gha", tmp_path)


def test_lines_of_all_runs_are_places_on_the_display(tmp_path):
    # 500 x 375 shown as 1000 x 750 at (460, 165): (860, 455) is (0.4, 0.386667).
    (tmp_path / "Fixation.txt").write_text("8464,500,375,1000,750,460,165,860,455,179\n8465,5,5,5,5,5,5,5\n")
    options = {"cub": cub(tmp_path), "stated": {"pixels_per_degree": 40.0}}
    found = converted(tmp_path / "out", "cub_gha", tmp_path / "Fixation.txt", **options)
    row = found.rows[NAME.removesuffix(".jpg")]
    assert (row["scanpaths"][0]["x"][0], row["scanpaths"][0]["y"][0]) == near((0.4, 0.386667))
    assert found.dataset.features["label"].names == ["146.Forsters_Tern"]
    assert (row["width"], row["height"]) == (500, 375)
    assert row["attention_source"]["pixels_per_degree"] == 20  # 40 of the screen
    assert "8 values; allowed are 3 or 7" in found.rejects["Fixation.txt, line 2"]


def test_every_bad_line_is_rejected(tmp_path):
    bad = ["8464,500,375", "x,500,375,1,1,1", "8464,0,375,1,1,1", "8464,5,5,0,0,0,0,1,1,1", "1,5,5,1,1,-9"]
    (tmp_path / "f.txt").write_text("8464,500,375,200,145,179\n" + "\n".join(bad) + "\n")
    found = converted(tmp_path / "out", "cub_gha", tmp_path / "f.txt")
    reasons = [found.rejects[f"f.txt, line {number}"] for number in range(2, 7)]
    texts = ["3 values", "'x'", "a side of the image is 0", "shown in 0 x 0", "duration below 0"]
    assert [text in reason for text, reason in zip(texts, reasons, strict=True)] == 5 * [True], reasons


def test_a_value_that_is_missing_moves_no_other_into_its_place(tmp_path):
    lines = ["1,500,375,200,145,,210,150,200,300,100,", "1,500,375,200,145,179, ,"]
    (tmp_path / "f.txt").write_text("\n".join(lines) + "\n")
    found = converted(tmp_path / "out", "cub_gha", tmp_path / "f.txt")
    assert found.rejects == {
        "f.txt, line 1": "value 6 is ''; allowed is a number from -1e+13 to 1e+13",
    }
    assert found.rows["1"]["scanpaths"][0]["x"] == [near(0.4)]


def test_gaze_without_a_license_is_not_passed_on():
    with pytest.raises(SourceError, match="no license"):
        SOURCE.require_may_be_passed_on("--push-to-hub")


def test_part_clicks_are_compared_with_the_birds_boxes(tmp_path):
    images = write_images(tmp_path / "images", {NAME: (200, 150)})
    found = converted(tmp_path / "out", "cub_parts", cub(tmp_path), images)
    row = found.rows[NAME.removesuffix(".jpg")]
    assert [(p["x"], p["y"]) for p in row["points"]] == [near((0.25, 0.5)), near((0.5, 0.2))]
    assert row["objects"]["bbox"] == [[10, 20, 100, 50]] and row["label"] == 0
    small = converted(tmp_path / "small", "cub_parts", tmp_path / "CUB_200_2011", images, max_side=100)
    of_small = small.rows[NAME.removesuffix(".jpg")]
    assert of_small["points"] == row["points"] and of_small["objects"]["bbox"] == [[5, 10, 50, 25]]
    assert found.rejects["parts/part_click_locs.txt, line 2"] == "the part is not visible"
    assert "no image 9" in found.rejects["parts/part_click_locs.txt, line 4"]
