"""`load_dataset("imagenet_ab", ...)`: from any folder, streaming or not, never stale, and errors that say
what to do.
"""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import datasets
import pytest
from datasets import Features, Image, Value
from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES
from fixtures.factories import WNIDS, raw_byproducts, raw_images, tar_of_tars

import imagenet_ab
from imagenet_ab.images import id_of_file_name
from luab_data.build.registration import register
from luab_data.errors import RejectedRecord, SourceError

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """Six images of two classes, XML for five; the working folder is empty, and nobody may look for files
    in it.
    """
    payloads = raw_images(tmp_path / "train")
    raw_byproducts(tmp_path / "ab.tar.gz", list(payloads)[1:])
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")

    def scan(*arguments, **options):
        pytest.fail("the working folder was searched for data files")

    monkeypatch.setattr(datasets.load, "get_data_patterns", scan)
    return tmp_path, payloads


def load(tmp_path, *arguments, **options):
    return datasets.load_dataset("imagenet_ab", *arguments, cache_dir=str(tmp_path / "cache"), **options)


def ids(rows):
    return [row["image_id"] for row in rows]


@pytest.mark.parametrize("streaming", [False, True])
def test_the_three_ways_in_give_the_same_rows(raw, streaming):
    tmp_path, payloads = raw
    sources = {"images": str(tmp_path / "train"), "byproducts": str(tmp_path / "ab.tar.gz")}
    cache = str(tmp_path / "cache")
    ours = imagenet_ab.load_dataset(**sources, split="train", streaming=streaming, cache_dir=cache)
    named = load(tmp_path, "full", **sources, split="train", streaming=streaming)
    former = load(tmp_path, "default", **sources, split="train", streaming=streaming)
    files = load(
        tmp_path,
        data_files=sources["byproducts"],
        images=sources["images"],
        split="train",
        streaming=streaming,
    )
    first, *others = payloads
    # Without streaming, the image without XML is the last one; in a stream, the last one of its class.
    expected = [*others[:2], first, *others[2:]] if streaming else [*others, first]
    assert ids(ours) == ids(named) == ids(former) == ids(files) == expected
    assert ours.features == files.features
    raw_rows = list(ours.cast_column("image", Image(decode=False)))
    assert {row["image_id"]: row["image"]["bytes"] for row in raw_rows} == payloads
    assert raw_rows[0]["click"] == {"x": 0.5, "y": 0.25}
    assert not streaming or ours.num_shards == 2  # one for each class
    assert next(iter(ours))["image"].size == (40, 30)


@pytest.mark.parametrize("streaming", [False, True])
def test_byproducts_alone(raw, streaming):
    tmp_path, payloads = raw
    rows = load(tmp_path, "byproducts", byproducts=tmp_path / "ab.tar.gz", streaming=streaming)["train"]
    assert ids(rows) == list(payloads)[1:]
    assert "image" not in rows.features
    assert rows.features["label"].num_classes == 1000


def test_tar_of_tars_and_unpacked_xml(raw):
    tmp_path, payloads = raw
    subprocess.run(["tar", "xzf", tmp_path / "ab.tar.gz", "-C", tmp_path], check=True)
    archive = tar_of_tars(tmp_path / "ILSVRC2012_img_train.tar", payloads)
    rows = load(tmp_path, images=archive, byproducts=tmp_path / "imagenet_ab_v1_0", split="train")
    assert sorted(ids(rows)) == sorted(payloads)


def test_no_row_at_all_is_an_error_that_names_what_was_asked(raw):
    tmp_path, _ = raw
    sources = {"byproducts": tmp_path / "ab.tar.gz", "classes": ["n01443537"]}
    rows = imagenet_ab.load_dataset("byproducts", **sources, split="train", streaming=True)
    with pytest.raises(SourceError, match=r"'n01443537'.*: not one row: 0 byproducts found"):
        next(iter(rows))


def test_classes_keep_a_subset(raw):
    tmp_path, _ = raw
    rows = load(
        tmp_path,
        images=tmp_path / "train",
        byproducts=tmp_path / "ab.tar.gz",
        classes=[WNIDS[1]],
        split="train",
    )
    assert set(rows["class_name"]) == {"tabby, tabby cat"}
    assert rows.features["label"].names == [WNIDS[1]]


def test_the_cache_follows_the_files(raw):
    tmp_path, payloads = raw
    sources = {"images": tmp_path / "train", "byproducts": tmp_path / "ab.tar.gz", "split": "train"}
    first = load(tmp_path, **sources)
    assert load(tmp_path, **sources).cache_files == first.cache_files
    changed = next(iter(payloads))
    (tmp_path / "train" / f"{changed}.JPEG").write_bytes(payloads[list(payloads)[1]] + b"longer")
    rows = load(tmp_path, **sources).cast_column("image", Image(decode=False))
    assert {row["image_id"]: row["image"]["bytes"][-6:] for row in rows}[changed] == b"longer"
    raw_byproducts(tmp_path / "ab.tar.gz", list(payloads))
    assert all(row["annotations"] for row in load(tmp_path, **sources))


@pytest.fixture
def parquet_images(raw):
    """A stand-in for ImageNet on the Hub: file names carry the ids, in both forms that are found there."""
    tmp_path, payloads = raw
    names = [f"{i.split('/')[1]}_{i.split('/')[0]}.JPEG" for i in payloads]
    names[1] = f"{list(payloads)[1].split('/')[1]}.JPEG"
    rows = [{"bytes": payload, "path": name} for name, payload in zip(names, payloads.values(), strict=True)]
    rows.append({"bytes": rows[0]["bytes"], "path": None})
    columns = {"image": rows, "label": [0] * len(rows)}
    typed = Features({"image": Image(), "label": Value("int64")})
    (tmp_path / "hub" / "data").mkdir(parents=True)
    shard = tmp_path / "hub" / "data" / "train-00000-of-00001.parquet"
    datasets.Dataset.from_dict(columns, features=typed).to_parquet(shard)
    (tmp_path / "hub" / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files: data/train-*\n---\n"
    )
    return tmp_path, payloads


@pytest.mark.parametrize("streaming", [False, True])
def test_images_of_a_dataset_are_streamed_and_joined_by_file_name(parquet_images, streaming):
    tmp_path, payloads = parquet_images
    rows = load(
        tmp_path,
        images=tmp_path / "hub",
        byproducts=tmp_path / "ab.tar.gz",
        split="train",
        streaming=streaming,
    )
    found = {row["image_id"]: row for row in rows.cast_column("image", Image(decode=False))}
    assert {image_id: row["image"]["bytes"] for image_id, row in found.items()} == payloads
    assert [len(row["annotations"]) for row in found.values()] == [0, 1, 1, 1, 1, 1]
    assert rows.features["label"].num_classes == 1000


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("n01440764_10026_n01440764.JPEG", "n01440764/n01440764_10026"),
        ("train/n01440764_10026.JPEG", "n01440764/n01440764_10026"),
        ("red_circle_7_red_circle.png", "red_circle/red_circle_7"),
    ],
)
def test_id_of_file_name(name, expected):
    assert id_of_file_name(name) == expected


def test_a_file_name_without_id_is_rejected():
    with pytest.raises(RejectedRecord, match="<class>_<n>"):
        id_of_file_name("00000.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": "/nowhere/train"}, "neither a folder"),
        ({"byproducts": "/nowhere/ab.tar.gz"}, "neither a file"),
        ({"images": "."}, r"holds no <class>/\*\.JPEG"),
        ({"byproducts": "."}, r"holds no <class>/<name>\.xml"),
        ({"name": "sample", "images": "."}, "'sample' has no images"),
        ({"name": "byproducts", "images": "."}, "'byproducts' has no images"),
        ({"data_files": "../ab.tar.gz"}, "not several"),
        ({"data_dir": "."}, "pass images="),
    ],
)
def test_wrong_arguments_say_what_is_allowed(raw, arguments, message):
    tmp_path, _ = raw
    (tmp_path / "parent").mkdir()
    (tmp_path / "train").rename(tmp_path / "parent" / "train")
    with pytest.raises(SourceError, match=message):
        load(
            tmp_path,
            **{"images": tmp_path / "parent" / "train", "byproducts": tmp_path / "ab.tar.gz", **arguments},
        )


def run_python(
    code: str, folder: Path, timeout: float = 120, **environment: str
) -> subprocess.CompletedProcess:
    """Runs code in a fresh interpreter, in `folder`, with a cache of its own and no Hub."""
    variables = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "HF_HOME": str(folder.parent / "hf")}
    variables |= {"HF_HUB_OFFLINE": "1", **environment}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def errors_of_the_defaults(tmp_path: Path, **environment: str) -> tuple[str, str]:
    """The messages for images and for byproducts, when nothing says where they are."""
    code = f"""
import imagenet_ab
from luab_data.errors import SourceError
for sources in ({{"byproducts": {str(tmp_path / "ab.tar.gz")!r}}}, {{"images": {str(tmp_path / "train")!r}}}):
    try:
        imagenet_ab.load_dataset(split="train", streaming=True, **sources)
    except SourceError as error:
        print(error)
"""
    result = run_python(code, tmp_path / "empty", **environment)
    assert result.returncode == 0, result.stderr
    images, byproducts = result.stdout.splitlines()
    return images, byproducts


def test_without_the_hub_the_error_says_what_to_pass(raw):
    images, byproducts = errors_of_the_defaults(raw[0])
    assert "images='ILSVRC/imagenet-1k' is not on this machine, and the Hub cannot be reached" in images
    assert "pass images=<the folder of the unpacked images>" in images
    assert (
        "byproducts='coallaoh/ImageNet-AB' is not on this machine, and the Hub cannot be reached"
        in byproducts
    )
    assert "pass byproducts=<imagenet_ab_v1_0.tar.gz" in byproducts


class _Refuses(BaseHTTPRequestHandler):
    """A Hub whose repositories are all gated, as it answers users who did not accept the terms."""

    def do_GET(self):
        self.send_response(403)
        self.send_header("X-Error-Code", "GatedRepo")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass


def test_a_gated_repository_gives_the_page_to_visit(raw):
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        images, byproducts = errors_of_the_defaults(raw[0], HF_HUB_OFFLINE="0", HF_ENDPOINT=endpoint)
        server.shutdown()
    assert "images='ILSVRC/imagenet-1k' is gated" in images
    assert "https://huggingface.co/datasets/ILSVRC/imagenet-1k" in images
    assert "pass images=" in images
    assert "byproducts='coallaoh/ImageNet-AB' is gated" in byproducts


def test_leaving_a_streamed_split_does_not_hang_at_exit(parquet_images):
    tmp_path, _ = parquet_images
    code = f"""
import imagenet_ab
for images in ({str(tmp_path / "train")!r}, {str(tmp_path / "hub")!r}):
    rows = imagenet_ab.load_dataset(
        images=images, byproducts={str(tmp_path / "ab.tar.gz")!r}, split="train", streaming=True
    )
    for row in rows:
        print(row["image_id"])
        break
"""
    result = run_python(code, tmp_path / "empty")
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 2


@pytest.mark.parametrize("streaming", [False, True])
def test_the_sample_needs_no_arguments(raw, streaming):
    tmp_path, _ = raw
    rows = load(tmp_path, split="train", streaming=streaming)
    assert ids(rows) == ids(
        imagenet_ab.load_dataset("sample", split="train", cache_dir=str(tmp_path / "cache"))
    )
    assert next(iter(rows))["image"].size
    assert any(row["click"] for row in rows)


def test_the_checkout_gives_the_sample_with_nothing_imported(tmp_path):
    (tmp_path / "work").mkdir()
    code = """
import os, sys
import datasets
os.chdir(os.environ["CHECKOUT"])
rows = datasets.load_dataset("imagenet_ab", split="train")
assert "imagenet_ab" not in sys.modules
print(len(rows), sorted(rows.column_names))
"""
    result = run_python(code, tmp_path / "work", CHECKOUT=str(REPOSITORY))
    assert result.returncode == 0, result.stderr
    assert "'annotations', 'class_name', 'click', 'image', 'image_id', 'label'" in result.stdout


def test_other_packaged_builders_still_look_for_files(tmp_path, monkeypatch):
    (tmp_path / "train.csv").write_text("a\n1\n")
    monkeypatch.chdir(tmp_path)
    rows = datasets.load_dataset(
        "csv", data_dir=str(tmp_path), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert rows["a"][:] == [1]


def test_a_change_of_code_in_any_folder_of_a_package_renews_the_caches(tmp_path):
    below = tmp_path / "package" / "fast"
    below.mkdir(parents=True)
    hashes = set()
    for number in range(2):
        (below / "module.py").write_text(f"{number}\n")
        register("a_test", "imagenet_ab.builder", [tmp_path / "package"])
        hashes.add(_PACKAGED_DATASETS_MODULES.pop("a_test"))
    assert len(hashes) == 2
