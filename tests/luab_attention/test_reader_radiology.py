"""EGD-CXR and REFLACX: pads, cut ids, zoom, discarded readings; nothing of them is passed on."""

import pytest
from fixtures.converted import converted, near, write_images

from luab.cli import main
from luab.traces.rows import scale_of
from luab_attention.blur import PEOPLE, TARGET, fixation_sigma
from luab_attention.convert.tables import MAX_LINE
from luab_data.errors import SourceError

DICOM = "1a2b3c4d-00000000-11111111-22222222-33333333"
OTHER = "9f8e7d6c-00000000-11111111-22222222-33333333"
FIXATIONS = "DICOM_ID,SESSION_ID,Time (in secs),FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV,X_ORIGINAL,Y_ORIGINAL\n"


def fixation(dicom=DICOM, session="s1", x="0.5", y="0.5", begin="1.5", duration="0.25", valid="1"):
    return f"{dicom},{session},0.1,{x},{y},{begin},{duration},1,{valid},0,0\n"


def egd(tmp_path, *lines):
    folder = tmp_path / "egd"
    folder.mkdir()
    (folder / "master_sheet.csv").write_text(
        "dicom_id,path,Normal,CHF,pneumonia,image_top_pad,image_bottom_pad,image_left_pad,image_right_pad\n"
        f"{DICOM},p,0,1,0,0,0,510,510\n{OTHER},p,1,0,0,0,0,0,0\n{OTHER},p,1,0,0,0,0,0,0\n"
        "bad,p,1,0,0,0,0,1000,1000\n"
    )
    (folder / "fixations.csv").write_text(FIXATIONS + "".join(lines))
    return folder


def test_pads_are_taken_off_and_cut_ids_completed(tmp_path):
    lines = [fixation(), fixation(x="0.2", begin="2"), fixation(dicom=DICOM[:20], begin="3"), fixation(OTHER)]
    found = converted(tmp_path / "out", "egd_cxr", egd(tmp_path, *lines))
    (path,) = found.rows[DICOM]["scanpaths"]
    # 2500 x 3000 pixels, shown 900 wide: (960 - 510) / 900; (384 - 510) / 900
    assert path["x"] == near([0.5, -0.14, 0.5]) and path["y"] == near([0.5, 0.5, 0.5])
    assert path["time"] == [1500, 2000, 3000] and path["duration"] == [250, 250, 250]
    assert path["annotator"] == "s1"
    assert found.dataset.features["label"].names == ["CHF", "Normal"]
    assert found.rows[DICOM]["attention_source"]["may_be_passed_on"] is False
    assert "second line of the image" in found.rejects["master_sheet.csv, line 4"]
    assert "pads leave -80" in found.rejects["master_sheet.csv, line 5"]


def test_a_stated_degree_is_of_the_screen(tmp_path):
    folder, stated = egd(tmp_path, fixation()), {"pixels_per_degree": 36.0}
    images = write_images(tmp_path / "jpg", {f"{DICOM}.jpg": (250, 300)})
    for name, side in (("whole", None), ("small", 60)):
        row = converted(tmp_path / name, "egd_cxr", folder, images, max_side=side, stated=stated).rows[DICOM]
        # shown 900 wide
        assert row["attention_source"]["pixels_per_degree"] == near(row["width"] * 36 / 900)
    row = converted(tmp_path / "out", "egd_cxr", folder, stated=stated).rows[DICOM]
    assert row["attention_source"]["pixels_per_degree"] is None  # the image's size is not known


def test_every_bad_fixation_is_rejected(tmp_path):
    lines = [fixation(), fixation(valid="0"), fixation(dicom="1a2b"), fixation(x=""), fixation(duration="-1")]
    found = converted(tmp_path / "out", "egd_cxr", egd(tmp_path, *lines, fixation(dicom="ffffffffff")))
    reasons = [found.rejects[f"fixations.csv, line {number}"] for number in (3, 4, 5, 7)]
    texts = ["FPOGV 0", "0 images", "FPOGX is ''", "0 images"]
    assert [text in reason for text, reason in zip(texts, reasons, strict=True)] == 4 * [True], reasons
    assert "duration below 0" in found.rejects["fixations.csv, line 6"]


def test_a_push_is_refused_with_the_reason_before_anything_is_read(tmp_path, capsys):
    assert (
        main(["convert", "egd_cxr", str(tmp_path), "--out", str(tmp_path / "o"), "--push-to-hub", "a/b"]) == 1
    )
    shown = capsys.readouterr().err
    assert "EGD-CXR may not be passed on" in shown and "PhysioNet" in shown
    assert not (tmp_path / "o").exists()


def reflacx(tmp_path, readings, fixations):
    folder = tmp_path / "reflacx"
    (folder / "main_data").mkdir(parents=True)
    head = "id,split,eye_tracking_data_discarded,image,dicom_id,subject_id,image_size_x,image_size_y\n"
    (folder / "metadata_phase_1.csv").write_text(head + "".join(readings))
    columns = (
        "timestamp_start_fixation,timestamp_end_fixation,x_position,y_position,pupil_area_normalized,"
        "window_level,window_width,angular_resolution_x_pixels_per_degree,"
        "angular_resolution_y_pixels_per_degree,xmin_shown_from_image,ymin_shown_from_image,"
        "xmax_shown_from_image,ymax_shown_from_image\n"
    )
    for name, lines in fixations.items():
        (folder / "main_data" / name).mkdir()
        (folder / "main_data" / name / "fixations.csv").write_text(columns + "".join(lines))
    return folder


def test_only_what_was_shown_counts(tmp_path):
    readings = [
        f"P1,train,False,i,{DICOM},1,2000,1000\n", f"P2,train,True,i,{DICOM},1,2000,1000\n",
        f"P3,train,False,i,{DICOM},1,2000,1000\n", f"../x,train,False,i,{DICOM},1,2000,1000\n",
    ]  # fmt: skip
    lines = [
        "0.5,0.75,500,250,1,0.5,1,60,61,0,0,2000,1000\n",
        "1.0,1.1,1500,900,1,0.5,1,20,21,1000,500,2000,1000\n",
        "1.2,1.3,10,10,1,0.5,1,20,21,1000,500,2000,1000\n",
        "2.0,1.0,1500,900,1,0.5,1,20,21,1000,500,2000,1000\n",
    ]
    images = write_images(tmp_path / "jpg", {f"{DICOM}.jpg": (200, 100)})
    found = converted(tmp_path / "out", "reflacx", reflacx(tmp_path, readings, {"P1": lines}), images)
    (path,) = found.rows[DICOM]["scanpaths"]
    assert path["x"] == near([0.25, 0.75]) and path["y"] == near([0.25, 0.9])
    assert path["time"] == [500, 1000] and path["duration"] == near([250, 100])
    # 40 pixels of 2000; the image has 200
    assert found.rows[DICOM]["attention_source"]["pixels_per_degree"] == near(4)
    assert "outside the part" in found.rejects["main_data/P1/fixations.csv, line 4"]
    assert "before it begins" in found.rejects["main_data/P1/fixations.csv, line 5"]
    reasons = [found.rejects[f"metadata_phase_1.csv, line {number}"] for number in (3, 4, 5)]
    assert ["discarded" in reasons[0], "leads nowhere" in reasons[1], "'../x'" in reasons[2]] == 3 * [True]


def test_a_degree_is_as_large_in_a_smaller_copy_for_training_alignment_and_traces(tmp_path):
    readings = [f"P1,train,False,i,{DICOM},1,2000,1000\n"]
    folder = reflacx(tmp_path, readings, {"P1": ["0.5,0.75,500,250,1,0.5,1,40,41,0,0,2000,1000\n"]})
    images = write_images(tmp_path / "jpg", {f"{DICOM}.jpg": (200, 100)})
    for name, side in (("whole", None), ("small", 50)):
        row = converted(tmp_path / name, "reflacx", folder, images, max_side=side).rows[DICOM]
        source, width = row["attention_source"], row["width"]
        assert width == (side or 200) and source["pixels_per_degree"] == near(width / 50)
        size = (width, row["height"])
        assert fixation_sigma(source, size, None, PEOPLE) == near((0.02, 0.04))  # a degree: 40 of 2000 pixels
        assert fixation_sigma(source, size, None, TARGET) == near((0.04, 0.08))
        assert scale_of(row, "degrees") == near((50, 25))


def test_stated_pixels_per_degree_replace_those_of_the_records(tmp_path):
    readings = [f"P1,train,False,i,{DICOM},1,2000,1000\n"]
    folder = reflacx(tmp_path, readings, {"P1": ["0.5,0.75,500,250,1,0.5,1,40,41,0,0,2000,1000\n"]})
    found = converted(tmp_path / "out", "reflacx", folder, stated={"pixels_per_degree": 20.0})
    assert found.rows[DICOM]["attention_source"]["pixels_per_degree"] == 20


def test_a_reading_whose_table_is_broken_is_one_reject(tmp_path):
    readings = [f"P{number},train,False,i,{DICOM},1,2000,1000\n" for number in (1, 2)]
    good = "0.5,0.75,500,250,1,0.5,1,40,41,0,0,2000,1000\n"
    folder = reflacx(tmp_path, readings, {"P1": [], "P2": [good]})
    (folder / "main_data/P1/fixations.csv").write_text("")
    found = converted(tmp_path / "out", "reflacx", folder)
    assert [path["annotator"] for path in found.rows[DICOM]["scanpaths"]] == ["P2"]
    ((entry, reason),) = found.rejects.items()
    assert entry == "metadata_phase_1.csv, line 2" and "no header" in reason
    assert reason.startswith("main_data/P1/fixations.csv has no column")


def test_the_fixations_before_a_broken_line_are_rejected_with_their_reading(tmp_path):
    readings = [f"P{number},train,False,i,{DICOM},1,2000,1000\n" for number in (1, 2)]
    good = "0.5,0.75,500,250,1,0.5,1,40,41,0,0,2000,1000\n"
    folder = reflacx(tmp_path, readings, {"P1": [good, "9" * (MAX_LINE + 1)], "P2": [good]})
    found = converted(tmp_path / "out", "reflacx", folder)
    assert [path["annotator"] for path in found.rows[DICOM]["scanpaths"]] == ["P2"]
    assert list(found.rejects) == ["main_data/P1/fixations.csv, line 2", "metadata_phase_1.csv, line 2"]
    assert {reason.partition(": ")[0] for reason in found.rejects.values()} == {
        "main_data/P1/fixations.csv, line 3"
    }


def test_other_folders_are_an_error(tmp_path):
    for name in ("egd_cxr", "reflacx"):
        with pytest.raises(SourceError, match="pass the folder"):
            converted(tmp_path / "out", name, tmp_path)


def test_one_fixation_far_away_costs_itself_alone(tmp_path):
    lines = [fixation(), fixation(x="1e7", begin="2"), fixation(begin="3")]
    found = converted(tmp_path / "out", "egd_cxr", egd(tmp_path, *lines))
    (path,) = found.rows[DICOM]["scanpaths"]
    assert path["time"] == [1500, 3000] and "fixations.csv, line 3" in found.rejects
    readings = [f"P1,train,False,i,{DICOM},1,20,10\n", f"P2,train,False,i,{DICOM},1,20,10\n"]
    lines = [f"{n},{n}.5,{x},5,1,0.5,1,60,61,0,0,200000,100000\n" for n, x in enumerate((5, 150000, 10))]
    folder = reflacx(tmp_path, readings, {"P1": lines, "P2": lines})
    found = converted(tmp_path / "2", "reflacx", folder)
    assert [path["x"] for path in found.rows[DICOM]["scanpaths"]] == 2 * [near([0.25, 0.5])]
    assert [f"main_data/P{n}/fixations.csv, line 3" for n in (1, 2)] == list(found.rejects)
