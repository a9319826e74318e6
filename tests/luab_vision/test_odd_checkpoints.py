"""Checkpoints that are damaged, of something else, or made to hurt: one line each, quickly and cheaply."""

import json
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fixtures.tiny_models import tiny_model
from PIL import Image
from safetensors.numpy import load_file, save_file

from luab.commands.evaluate import main as evaluate
from luab_data.console.boundary import boundary
from luab_data.errors import SourceError
from luab_data.files.sums import SUMS, write_sums
from luab_eval.models import load_classifier as evaluated_classifier
from luab_trainer.classifier import load_start
from luab_vision.processors import check_fits, image_settings, square_processor
from luab_vision.weights import MOST_CLASSES, MOST_CONFIG_BYTES

CONFIG, PROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
SECONDS, BYTES = 5, 1 << 30


def wrote(name: str, content: bytes | str) -> Callable[[Path], None]:
    content = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(content)


def changed(name: str, **values) -> Callable[[Path], None]:
    """Values of a JSON file; None removes the key."""

    def change(folder: Path) -> None:
        found = json.loads((folder / name).read_text()) | values
        kept = {key: value for key, value in found.items() if value is not None}
        (folder / name).write_text(json.dumps(kept))

    return change


def config(**values) -> Callable[[Path], None]:
    return changed(CONFIG, **values)


def processor(**values) -> Callable[[Path], None]:
    return changed(PROCESSOR, **values)


def weights(change: Callable[[dict], dict]) -> Callable[[Path], None]:
    return lambda folder: save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, {"format": "pt"})


def cut(name: str, share: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(share * len(content))])

    return change


def folder_instead(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return change


def missing(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


HEADER = (2**62).to_bytes(8, "little")
LIES = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()


def damaged_since(folder: Path) -> None:
    """One bit of one weight, which stays a finite number."""
    write_sums(folder)
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-4] ^= 1
    (folder / WEIGHTS).write_bytes(content)


# Both tools refuse these.
ODD = {
    "config-missing": missing(CONFIG),
    "config-empty": wrote(CONFIG, ""),
    "config-list": wrote(CONFIG, "[1, 2]"),
    "config-null": wrote(CONFIG, "null"),
    "config-number": wrote(CONFIG, "1"),
    "config-text": wrote(CONFIG, '"vit"'),
    "config-empty-object": wrote(CONFIG, "{}"),
    "config-binary": wrote(CONFIG, bytes(range(256))),
    "config-latin-1": wrote(CONFIG, '{"model_type": "vit", "é": 1}'.encode("latin-1")),
    "config-cut": cut(CONFIG, 0.5),
    "config-brackets": wrote(CONFIG, "[" * 200_000),
    "config-large": wrote(CONFIG, " " * (MOST_CONFIG_BYTES + 1)),
    "classes-billion": config(num_labels=10**9, id2label=None, label2id=None),
    "classes-of-a-part": config(vision_config={"num_labels": 10**9}),
    "names-million": config(id2label=dict.fromkeys(map(str, range(MOST_CLASSES + 1)), "a"), label2id=None),
    "config-folder": folder_instead(CONFIG),
    "type-missing": config(model_type=None, architectures=None),
    "type-unknown": config(model_type="no_such_model"),
    "type-escape": config(model_type="vit\x1b[2J"),
    "type-list": config(model_type=["vit"]),
    "type-number": config(model_type=7),
    "type-of-text": config(model_type="bert"),
    "layers-million": config(num_hidden_layers=1_000_000),
    "layers-negative": config(num_hidden_layers=-1),
    "layers-text": config(num_hidden_layers="two"),
    "layers-float": config(num_hidden_layers=1.5),
    "hidden-zero": config(hidden_size=0),
    "hidden-text": config(hidden_size="32"),
    "hidden-odd": config(hidden_size=33),
    "hidden-huge": config(hidden_size=10**9, num_attention_heads=1),
    "hidden-large": config(hidden_size=400_000, intermediate_size=400_000),
    "intermediate-large": config(intermediate_size=10**8),
    "heads-zero": config(num_attention_heads=0),
    "heads-list": config(num_attention_heads=[4]),
    "patch-zero": config(patch_size=0),
    "patch-huge": config(patch_size=10**6),
    "image-huge": config(image_size=10**7),
    "image-negative": config(image_size=-32),
    "image-text": config(image_size="large"),
    "channels-four": config(num_channels=4),
    "activation-unknown": config(hidden_act="no_such_activation"),
    "dropout-text": config(hidden_dropout_prob="x"),
    "code": config(auto_map={"AutoConfig": "evil.Config"}, model_type="evil"),
    "weights-missing": missing(WEIGHTS),
    "weights-empty": wrote(WEIGHTS, b""),
    "weights-text": wrote(WEIGHTS, "not here\n" * 100),
    "weights-lfs": wrote(WEIGHTS, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
    "weights-cut": cut(WEIGHTS, 0.5),
    "weights-cut-header": cut(WEIGHTS, 0.01),
    "weights-header-huge": wrote(WEIGHTS, HEADER + b"{}"),
    "weights-lies": wrote(WEIGHTS, len(LIES).to_bytes(8, "little") + LIES),
    "weights-folder": folder_instead(WEIGHTS),
    "weights-not-as-their-sums-say": damaged_since,
    "weights-none": weights(lambda found: {"x": np.zeros(1, np.float32)}),
    "weights-flat": weights(lambda found: {key: value.reshape(-1) for key, value in found.items()}),
    "weights-nan": weights(lambda found: {key: np.full_like(value, np.nan) for key, value in found.items()}),
    "processor-empty": wrote(PROCESSOR, ""),
    "processor-list": wrote(PROCESSOR, "[]"),
    "processor-binary": wrote(PROCESSOR, bytes(range(256))),
    "processor-unknown": processor(image_processor_type="NoSuchProcessor"),
    "processor-size-text": processor(size="big"),
    "processor-size-zero": processor(size={"height": 0, "width": 0}),
    "processor-size-negative": processor(size={"height": -1, "width": 32}),
    "processor-size-huge": processor(size={"height": 10**6, "width": 10**6}),
    "processor-size-odd": processor(size={"depth": 3}),
    "processor-mean-text": processor(image_mean="dark"),
    "processor-mean-two": processor(image_mean=[0.5, 0.5]),
    "processor-std-zero": processor(image_std=[0, 0, 0]),
    "processor-resample": processor(resample=99),
}  # fmt: skip
# Of a classifier whose head is not kept, training does not need the names; evaluation does.
ODD_IN_EVALUATION = {
    "labels-negative": config(num_labels=-1, id2label=None, label2id=None),
    "names-list": config(id2label=["a", "b"]),
    "arguments-cut": wrote("training_args.json", '{"seed": '),
    "arguments-brackets": wrote("training_args.json", "[" * 200_000),
    "names-gap": config(id2label={"0": "a", "7": "b"}),
    "names-text-keys": config(id2label={"first": "a", "second": "b"}),
    "names-twice": config(id2label={"0": "a", "1": "a"}),
    "names-others": config(id2label={"0": "x\x1b[2J", "1": "y"}),
    "names-lists": config(id2label={"0": ["a"], "1": ["b"]}),
    "weights-head-missing": weights(
        lambda found: {key: value for key, value in found.items() if "classifier" not in key}
    ),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    tiny_model("vit", num_labels=2, id2label={0: "a", 1: "b"}, label2id={"a": 0, "b": 1}).save_pretrained(
        folder
    )
    square_processor(32).save_pretrained(folder)
    for name in "ab":
        (folder / "images" / name).mkdir(parents=True)
        Image.new("RGB", (40, 30), "red" if name == "a" else "blue").save(folder / "images" / name / "1.png")
    return folder


@pytest.fixture
def odd(whole, tmp_path) -> Path:
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in (CONFIG, PROCESSOR, WEIGHTS):
        shutil.copy(whole / name, folder / name)
    return folder


class Cheap:
    """Raises unless what is inside takes little time and memory."""

    def __enter__(self):
        self.start, self.before = time.process_time(), _peak()

    def __exit__(self, *_):
        assert time.process_time() - self.start < SECONDS
        assert _peak() - self.before < BYTES


def _peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def evaluate_checkpoint(checkpoint: Path, whole: Path, out: Path) -> int:
    folders = ["--benchmarks", f"folder:own={whole / 'images'}", "--output-dir", str(out)]
    return evaluate(["--model", str(checkpoint), *folders, "--device", "cpu", "--num-workers", "0"])


def test_the_whole_one_is_taken(whole, odd, tmp_path):
    assert evaluate_checkpoint(odd, whole, tmp_path / "out") == 0
    assert load_start(str(odd), None, ["a", "b"])[0].config.num_labels == 2


@pytest.mark.parametrize("name", [*ODD, *ODD_IN_EVALUATION])
def test_evaluation_refuses_it_in_one_line(name, whole, odd, tmp_path, capsys):
    (ODD | ODD_IN_EVALUATION)[name](odd)
    with Cheap():
        status = evaluate_checkpoint(odd, whole, tmp_path / "out")
    shown = capsys.readouterr()
    assert status == 1, shown.out
    _is_one_line(shown.err.removesuffix("\n").rpartition("\n")[2], "luab evaluate: ")


@pytest.mark.parametrize("name", ODD)
def test_training_refuses_it_in_one_line(name, odd):
    ODD[name](odd)
    with Cheap(), pytest.raises(SystemExit) as ended, boundary("run.py"):
        model, processor, _ = load_start(str(odd), None, ["a", "b"])
        try:
            check_fits(model, image_settings(processor))
        except ValueError as error:  # as in `train`
            raise SourceError(str(error)) from error
    _is_one_line(ended.value.code, "run.py: ")


def test_sums_that_are_right_or_deleted_hinder_nobody(whole, odd, tmp_path):
    write_sums(odd)
    assert evaluate_checkpoint(odd, whole, tmp_path / "out") == 0
    damaged_since(odd)
    (odd / SUMS).unlink()  # as the message says
    assert evaluate_checkpoint(odd, whole, tmp_path / "other") == 0


@pytest.mark.parametrize("arguments", ["[1]", '{"seed": "1"}', '{"seed": null}'])
def test_a_seed_that_is_none_is_not_taken(odd, arguments):
    (odd / "training_args.json").write_text(arguments)
    assert evaluated_classifier(str(odd)).seed is None


def test_names_of_strangers_move_no_cursor(odd, caplog):
    load_start(str(odd), None, ["x\x1b[2J", "y\nz"])
    (said,) = caplog.messages
    assert "so a new head is trained" in said
    assert "\x1b" not in said and "\n" not in said


def test_what_is_no_checkpoint_at_all(whole, tmp_path, capsys):
    (tmp_path / "file").write_bytes(bytes(256))
    (tmp_path / "empty").mkdir()
    for name in ("file", "empty", "absent"):
        assert evaluate_checkpoint(tmp_path / name, whole, tmp_path / "out") == 1
        _is_one_line(capsys.readouterr().err.removesuffix("\n"), "luab evaluate: ")


def _is_one_line(text: str, beginning: str) -> None:
    assert text.startswith(beginning)
    assert "unexpected" not in text, text
    assert "Traceback" not in text and "\n" not in text and "\x1b" not in text
    assert len(text) < 1200
