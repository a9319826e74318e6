"""What was damaged on the disk is noticed and made again; a build without one pair is a failed one."""

import json
import shutil

import pytest
from fixtures.factories import WNIDS, files_of, raw_byproducts, raw_images

import imagenet_ab.script
from imagenet_ab.build import build_imagenet_ab
from luab.commands import verify
from luab_data.build.manifest import share
from luab_data.build.verify import verify_dataset
from luab_data.errors import SourceError
from luab_data.files.durable import file_sha256
from luab_data.hub.publish import _addition, _Shard


@pytest.fixture
def raw(tmp_path):
    payloads = raw_images(tmp_path / "train")
    raw_byproducts(tmp_path / "ab.tar.gz", list(payloads))
    return tmp_path, payloads


def build(tmp_path, out="out", **arguments):
    arguments = {"images": tmp_path / "train", "byproducts": tmp_path / "ab.tar.gz", **arguments}
    return build_imagenet_ab(tmp_path / out, **{"rows_per_shard": 2, **arguments})


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


class Killed(BaseException):
    pass


def killed_build(tmp_path, monkeypatch):
    """A build that dies when two of its three shards are finished."""
    from luab_data.build import build as module

    make_shard, calls = module._make_shard, []

    def stopping(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise Killed
        return make_shard(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_make_shard", stopping)
        with pytest.raises(Killed):
            build(tmp_path)


@pytest.mark.parametrize("damage", [flip, halve, empty])
@pytest.mark.parametrize("name", ["data/train-00001.parquet", ".build/00001.json", ".build/plan.json"])
def test_damage_between_a_kill_and_the_next_run_is_made_good(raw, monkeypatch, name, damage):
    tmp_path, _ = raw
    build(tmp_path, "whole")
    killed_build(tmp_path, monkeypatch)
    untouched = (tmp_path / "out/data/train-00000.parquet").stat().st_mtime_ns
    damage(tmp_path / "out" / name)
    warnings = []
    monkeypatch.setattr("luab_data.build.state.logger.warning", warnings.append)
    build(tmp_path)
    [warning] = warnings
    assert str(tmp_path / "out" / name) in warning
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")
    if "plan" not in name:
        assert (tmp_path / "out/data/train-00000.parquet").stat().st_mtime_ns == untouched


@pytest.mark.parametrize("names", [["plan.json"], ["00000.json", "00001.json"]])
def test_shards_of_an_earlier_plan_do_not_stay_beside_those_of_the_next(raw, monkeypatch, names):
    tmp_path, _ = raw
    killed_build(tmp_path, monkeypatch)
    for name in names:
        halve(tmp_path / "out/.build" / name)
    build(tmp_path, "whole", max_side=30, rows_per_shard=100)
    build(tmp_path, max_side=30, rows_per_shard=100)
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")
    assert verify_dataset(tmp_path / "out") == []


@pytest.mark.parametrize("damage", [flip, halve, empty])
def test_a_damaged_shard_of_a_finished_build_is_made_again(raw, damage):
    tmp_path, _ = raw
    build(tmp_path)
    before = files_of(tmp_path / "out")
    untouched = (tmp_path / "out/data/train-00000.parquet").stat().st_mtime_ns
    damage(tmp_path / "out/data/train-00001.parquet")
    assert verify_dataset(tmp_path / "out") == [
        "data/train-00001.parquet is damaged: its SHA-256 is not the one in SHA256SUMS."
    ]
    build(tmp_path)
    assert files_of(tmp_path / "out") == before
    assert (tmp_path / "out/data/train-00000.parquet").stat().st_mtime_ns == untouched
    assert verify_dataset(tmp_path / "out") == []


@pytest.mark.parametrize("damage", [flip, halve, empty])
@pytest.mark.parametrize("name", ["summary.json", "rejects.jsonl", "SHA256SUMS"])
def test_damage_to_the_files_that_describe_a_build_is_an_error(raw, name, damage):
    tmp_path, _ = raw
    (tmp_path / "train" / WNIDS[0] / f"{WNIDS[0]}_9.JPEG").write_bytes(b"a reject")
    build(tmp_path)
    damage(tmp_path / "out" / name)
    with pytest.raises(SourceError, match=f"'.*out': {name} is missing, or not what the build wrote"):
        build(tmp_path)
    assert any(name in problem for problem in verify_dataset(tmp_path / "out"))


def verified(folder, capsys):
    assert verify.main([str(folder)]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("listed", [False, True])
def test_an_edited_card_is_no_damage(raw, listed, capsys):
    """Also in a folder of an earlier version, whose sums list it."""
    tmp_path, _ = raw
    build(tmp_path)
    card, sums = tmp_path / "out/README.md", tmp_path / "out/SHA256SUMS"
    if listed:
        sums.write_text(f"{file_sha256(card)}  README.md\n{sums.read_text()}")
    card.write_text(card.read_text() + "Ask us.\n")
    assert verify_dataset(tmp_path / "out") == []
    assert "as written" in verified(tmp_path / "out", capsys)
    before = files_of(tmp_path / "out")
    assert build(tmp_path).rows == 6
    assert files_of(tmp_path / "out") == before


def test_sums_of_a_dataset_that_were_cut_off_are_damage(raw):
    tmp_path, _ = raw
    build(tmp_path)
    sums = tmp_path / "out/SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if "rejects" not in line))
    assert verify_dataset(tmp_path / "out") == ["SHA256SUMS does not list rejects.jsonl."]


def test_a_card_that_was_removed_is_written_again(raw, capsys):
    tmp_path, _ = raw
    build(tmp_path)
    before = files_of(tmp_path / "out")
    sums = tmp_path / "out/SHA256SUMS"
    sums.write_text(f"{sums.read_text()}{file_sha256(tmp_path / 'out/README.md')}  README.md\n")
    before |= {"SHA256SUMS": sums.read_bytes()}
    (tmp_path / "out/README.md").unlink()
    assert "as written" in verified(tmp_path / "out", capsys)
    build(tmp_path)
    assert files_of(tmp_path / "out") == before


def test_verify_says_what_is_missing_foreign_or_unfinished(raw, monkeypatch):
    tmp_path, _ = raw
    build(tmp_path)
    out = tmp_path / "out"
    shutil.copy(out / "data/train-00000.parquet", out / "data/train-00009.parquet")
    (out / "data/train-00000.parquet").unlink()
    assert verify_dataset(out) == [
        "data/train-00000.parquet is missing (it was removed, or uploaded with --push-to-hub).",
        "data/train-00009.parquet is no part of this build: remove it.",
    ]
    (out / ".build").mkdir()
    assert "not finished" in verify_dataset(out)[0]
    for other in (tmp_path / "train", tmp_path / "nowhere"):
        with pytest.raises(SourceError, match=r"no folder|not a folder that `luab build` made"):
            verify_dataset(other)


@pytest.mark.parametrize(
    "line", ["0" * 64 + "  ../x", "0" * 63 + "  x", "0" * 64 + " x", "\xff", "0" * 64 + "  /etc/x"]
)
def test_sums_never_lead_out_of_the_folder(raw, line):
    tmp_path, _ = raw
    build(tmp_path)
    (tmp_path / "out/SHA256SUMS").write_text(line + "\n", encoding="latin-1")
    [problem] = verify_dataset(tmp_path / "out")
    assert problem.startswith("SHA256SUMS is damaged")


def test_a_shard_that_was_damaged_after_it_was_built_is_not_uploaded(raw):
    tmp_path, _ = raw
    summary = build(tmp_path)
    [name, *_] = summary.shards
    shard = _Shard(tmp_path / "out" / name, name, summary.shards[name])
    assert _addition(shard).path_in_repo == name
    flip(shard.path)
    with pytest.raises(SourceError, match=r"train-00000\.parquet is damaged .* was not uploaded"):
        _addition(shard)


def test_no_byproduct_met_an_image_fails_and_shows_ids_of_both_sides(raw, capsys):
    tmp_path, payloads = raw
    raw_byproducts(tmp_path / "ab.tar.gz", [f"{WNIDS[0]}/other_{number}" for number in range(5)])
    command = ["--images", str(tmp_path / "train"), "--byproducts", str(tmp_path / "ab.tar.gz")]
    with pytest.raises(SystemExit) as exit_:
        imagenet_ab.script.main([*command, "--output-dir", str(tmp_path / "out")])
    message = str(exit_.value)
    assert "no byproduct met an image" in message
    assert (
        f"byproducts: 5, such as '{WNIDS[0]}/other_0', '{WNIDS[0]}/other_1', '{WNIDS[0]}/other_2'" in message
    )
    assert f"images: 6, such as {', '.join(map(repr, list(payloads)[:3]))}" in message
    assert "\n" not in message
    assert "open it with" not in capsys.readouterr().out
    raw_byproducts(tmp_path / "ab.tar.gz", list(payloads))  # the corrected files, in the same folder
    assert build(tmp_path).used["byproducts"] == 6
    build(tmp_path, "undisturbed")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "undisturbed")


def test_byproducts_that_are_all_rejected_fail_with_the_commonest_reasons(raw):
    tmp_path, payloads = raw
    bad = [(f"x/{image_id}.xml", b"<a/>") for image_id in payloads]
    raw_byproducts(tmp_path / "ab.tar.gz", [], more=bad)
    with pytest.raises(SourceError, match=r"not one of 6 byproducts is in a row: no metadata .* \(6 times\)"):
        build(tmp_path)


def test_a_source_without_one_entry_is_a_failed_build(raw):
    tmp_path, _ = raw
    raw_byproducts(tmp_path / "ab.tar.gz", [], more=[("x/README.txt", b"")])
    with pytest.raises(SourceError, match="0 byproducts found, 1 other files ignored"):
        build(tmp_path)
    with pytest.raises(SourceError, match="0 byproducts found, 1 other files ignored"):
        build(tmp_path, "other", images=None, config="byproducts")


def test_the_report_says_which_share_met(raw):
    tmp_path, payloads = raw
    raw_byproducts(tmp_path / "ab.tar.gz", [*list(payloads)[:3], f"{WNIDS[0]}/other_0"])
    report = build(tmp_path).report()
    assert "byproducts: 4 found = 3 in rows + 1 rejected (75.0 % in rows);" in report
    assert "rows with annotations: 3 (50.0 %)" in report


def test_a_share_is_rounded_to_none_or_all_only_where_it_is():
    assert [share(*each) for each in ((0, 5), (5, 5), (1, 10**6), (10**6 - 1, 10**6), (0, 0))] == [
        "0.0 %", "100.0 %", "0.1 %", "99.9 %", "0.0 %",
    ]  # fmt: skip


def test_sums_are_those_that_sha256sum_reads(raw):
    tmp_path, _ = raw
    summary = build(tmp_path)
    lines = (tmp_path / "out/SHA256SUMS").read_text().splitlines()
    sums = dict(line.split("  ")[::-1] for line in lines)
    assert sums.keys() == files_of(tmp_path / "out").keys() - {"SHA256SUMS", "README.md"}
    assert sums.items() >= summary.shards.items()
    assert json.loads((tmp_path / "out/summary.json").read_text())["shards"] == summary.shards


def test_a_file_of_a_published_name_with_less_in_it_is_said(raw):
    tmp_path, _ = raw
    (tmp_path / "ab.tar.gz").rename(tmp_path / "imagenet_ab_v1_0.tar.gz")
    published = {"byproducts": tmp_path / "imagenet_ab_v1_0.tar.gz"}
    line = build(tmp_path, **published).report().splitlines()[-1]
    assert line.startswith("note: imagenet_ab_v1_0.tar.gz holds 6 byproducts; the published file")
    assert line.endswith("at least 1,270,000")
    assert "note:" not in build(tmp_path, "some", classes=[WNIDS[0]], **published).report()
