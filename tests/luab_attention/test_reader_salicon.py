"""SALICON: y first in the JSON, x first in the .mat files, both counted from 1."""

import json
import struct
import zlib

import numpy as np
import pytest
from fixtures.converted import converted, near

from luab_attention.convert.mat_files import read_mat
from luab_data.errors import RejectedRecord, SourceError


def test_json_has_y_first_and_counts_from_1(tmp_path):
    content = {
        "images": [{"id": 9, "file_name": "COCO_train2014_000000000009.jpg", "height": 480, "width": 640}],
        "annotations": [
            {"image_id": 9, "worker_id": 3, "id": 1, "fixations": [[242, 314], [1, 1], [480, 640]]},
            {"image_id": 77, "worker_id": 4, "id": 2, "fixations": [[1, 2]]},
            {"image_id": 9, "worker_id": 5, "id": 3, "fixations": []},
            {"image_id": 9, "worker_id": 5, "id": 4, "fixations": [[1, 2, 3]]},
            {"image_id": -1, "worker_id": 5, "id": 5, "fixations": [[1, 2]]},
        ],
    }
    (tmp_path / "fixations_train2014.json").write_text(json.dumps(content))
    found = converted(tmp_path / "out", "salicon", tmp_path / "fixations_train2014.json")
    (path,) = found.rows["000000000009"]["scanpaths"]
    assert (path["x"][0], path["y"][0]) == near((0.48984375, 0.503125))
    assert (path["x"][1], path["y"][1]) == near((0.5 / 640, 0.5 / 480))
    assert (path["x"][2], path["y"][2]) == near((639.5 / 640, 479.5 / 480))
    assert path["annotator"] == "3" and "time" not in path
    assert (found.rows["000000000077"]["width"], found.rows["000000000077"]["height"]) == (640, 480)
    assert found.rows["000000000009"]["attention_source"]["sigma"] == near(19 / 640)
    reasons = [found.rejects[f"fixations_train2014.json, annotation {number}"] for number in (3, 4, 5)]
    assert ["no fixation" in reasons[0], "has 3 numbers" in reasons[1], "-1" in reasons[2]] == 3 * [True]


def test_the_json_has_fixations_alone(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(SourceError, match=r"--fixations goes with .mat files"):
        converted(tmp_path / "out", "salicon", tmp_path / "a.json", fixations=True)


def viewing(places, times):
    kind = [("location", object), ("timestamp", object), ("fixations", object)]
    found = np.zeros((1, 1), kind)
    found[0, 0] = (np.array(places, float), np.array(times, float)[:, None], np.array(places[:1], float))
    return found


def write_mat(path, *viewings, resolution=(480, 640)):
    savemat = pytest.importorskip("scipy.io").savemat
    gaze = np.concatenate(viewings)
    savemat(path, {"gaze": gaze, "image": path.stem, "resolution": [resolution]}, do_compression=True)


def test_mat_files_have_x_first_and_times(tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    good = viewing([[314, 242], [700, -5]], [1000, 1016])
    write_mat(folder / "COCO_train2014_000000000009.mat", good, viewing([[1, 2]], [5, 6]))
    write_mat(folder / "COCO_train2014_000000000010.mat", good, resolution=(600, 800))
    (folder / "COCO_train2014_000000000011.mat").write_bytes(b"MATLAB 7.3 MAT-file, ...".ljust(200))
    (folder / "COCO_train2014_000000000012.mat").write_bytes(b"rubbish")
    write_mat(folder / "COCO_train2014_000000000013.mat", good)
    found = converted(tmp_path / "out", "salicon", folder)
    (other,) = found.rows["000000000013"]["scanpaths"]
    (path,) = found.rows["000000000009"]["scanpaths"]
    assert path["x"] == near([0.48984375, 699.5 / 640]) and path["y"] == near([0.503125, -5.5 / 480])
    assert path["time"] == [0, 16]
    assert path["annotator"] == "COCO_train2014_000000000009/1" != other["annotator"]
    read = converted(tmp_path / "fixations", "salicon", folder, fixations=True).rows["000000000009"]
    assert read["scanpaths"][0]["x"] == near([0.48984375]) and "time" not in read["scanpaths"][0]
    name = "COCO_train2014_0000000000{}.mat"
    assert "shape (1, 2), of 2 times" in found.rejects["COCO_train2014_000000000009.mat, viewing 2"]
    assert "resolution is [600, 800]" in found.rejects[name.format(10)]
    assert "version 7.3" in found.rejects[name.format(11)]
    assert "no .mat file" in found.rejects[name.format(12)]


def test_a_bomb_is_not_unpacked(tmp_path):
    pytest.importorskip("scipy.io")
    packed = zlib.compress(bytes(300 << 20), 9)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    (tmp_path / "bomb.mat").write_bytes(header + struct.pack("<2I", 15, len(packed)) + packed)
    with pytest.raises(RejectedRecord, match="unpacks to more"):
        read_mat(tmp_path / "bomb.mat", ("gaze",))


def packed_variable(size, name=b"x"):
    """A compressed variable of doubles that are 0, of `size` bytes."""

    def element(kind, content):
        return struct.pack("<2I", kind, len(content)) + content.ljust(-(-len(content) // 8) * 8, b"\0")

    values = struct.pack("<2I", 9, size)
    head = (
        element(6, struct.pack("<2I", 6, 0)) + element(5, struct.pack("<2i", 1, size // 8)) + element(1, name)
    )
    packer = zlib.compressobj(9)
    packed = packer.compress(struct.pack("<2I", 14, len(head) + len(values) + size) + head + values)
    packed += packer.compress(bytes(size)) + packer.flush()
    return struct.pack("<2I", 15, len(packed)) + packed


HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def test_many_variables_unpack_to_no_more_than_one(tmp_path):
    pytest.importorskip("scipy.io")
    (tmp_path / "some.mat").write_bytes(HEADER + packed_variable(8 << 10, b"a") + packed_variable(16, b"b"))
    assert read_mat(tmp_path / "some.mat", ("b",))["b"].tolist() == [[0, 0]]
    (tmp_path / "bomb.mat").write_bytes(HEADER + packed_variable(100 << 20) * 3)
    with pytest.raises(RejectedRecord, match="unpacks to more"):
        read_mat(tmp_path / "bomb.mat", ("x",))


def test_only_the_variables_that_are_needed_are_read(tmp_path, monkeypatch):
    loaded = pytest.importorskip("scipy.io.matlab").loadmat
    asked = []
    monkeypatch.setattr(
        "scipy.io.loadmat", lambda *args, **options: asked.append(options) or loaded(*args, **options)
    )
    mats = tmp_path / "mats"
    mats.mkdir()
    write_mat(mats / "1.mat", viewing([[314, 242]], [1000]))
    assert converted(tmp_path / "out", "salicon", mats / "1.mat").rows
    assert asked[0]["variable_names"] == ["gaze", "resolution"]
    (mats / "2.mat").write_bytes(HEADER + packed_variable(16, b"map"))
    write_mat(mats / "3.mat", viewing([[314, 242]], [1000]))
    (mats / "1.mat").unlink()
    rejects = converted(tmp_path / "2", "salicon", mats).rejects
    assert rejects["2.mat"] == "there is no variable 'gaze'; the file has map"
