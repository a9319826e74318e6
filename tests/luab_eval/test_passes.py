"""How a pass runs: precision, compilation, batches that are found by trying, images per second."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from fixtures.factories import noise_image
from fixtures.miniatures import color_classifier
from fixtures.tiny_models import IMAGE_SIZE, NUM_LABELS, tiny_model

from luab.commands.compare import main as compare
from luab.commands.evaluate import main
from luab_eval.devices import check_device
from luab_eval.models import NotFinite, load_classifier
from luab_eval.passes import AUTO_ELSEWHERE, LARGEST, fitting
from luab_vision.processors import square_processor

COUNT = 10


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Images of noise in class folders, with boxes; the checkpoint vit."""
    folder = tmp_path_factory.mktemp("data")
    lines = ["file,x0,y0,x1,y1,width,height"]
    for number in range(COUNT):
        name = f"c{number % NUM_LABELS}/{number}.png"
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        noise_image(40, 40, number).save(folder / "images" / name)
        lines.append(f"{name},4,4,20,24,40,40")
    (folder / "boxes.csv").write_text("\n".join(lines))
    for kind in ("vit", "convnext"):
        tiny_model(kind, id2label={k: f"c{k}" for k in range(NUM_LABELS)}).save_pretrained(folder / kind)
        square_processor(IMAGE_SIZE).save_pretrained(folder / kind)
    return folder


def evaluate(data, out, *more: str, model: str = "vit", boxes: bool = False) -> int:
    given = ["--model", str(data / model), "--data", str(data), "--output-dir", str(out)]
    names = "folder:a=images,where:a=images:boxes.csv" if boxes else "folder:a=images"
    return main([*given, "--benchmarks", names, "--num-workers", "0", "--device", "cpu", *more])


def logits(out) -> np.ndarray:
    (part,) = (out / "predictions").glob("*/folder-a-*/part-00000.npz")
    with np.load(part, allow_pickle=False) as arrays:
        return arrays["logits"]


def test_bfloat16_is_said_and_not_mixed_with_float32(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("luab_eval.evaluate.slow_in_bf16", lambda device: device == "cpu")
    assert evaluate(data, tmp_path / "exact") == 0
    printed = capsys.readouterr()
    assert "Computed in" not in printed.out
    assert "--bf16" not in printed.err
    assert evaluate(data, tmp_path / "bf16", "--bf16") == 0
    printed = capsys.readouterr()
    assert "warning: --bf16: this CPU, which has neither AVX-512 BF16 nor AMX" in printed.err
    said = " ".join(printed.out.split())
    assert "Computed in bfloat16, mixed precision (--bf16): figures in float32 differ a little." in said
    assert "Computed in bfloat16" in (tmp_path / "bf16" / "report.md").read_text()

    difference = np.abs(logits(tmp_path / "bf16") - logits(tmp_path / "exact")).max()
    assert 0 < difference < 0.01 * np.abs(logits(tmp_path / "exact")).max() + 0.01
    results = [json.loads((tmp_path / name / "results.json").read_text()) for name in ("exact", "bf16")]
    exact, rounded = (one["models"][0] for one in results)
    assert (exact["precision"], rounded["precision"]) == ("float32", "bfloat16")
    assert rounded["fingerprint"] == exact["fingerprint"] + "-bf16"

    assert evaluate(data, tmp_path / "exact", "--bf16") == 1
    assert "image processor or precision (--bf16), or of an earlier version. Give" in capsys.readouterr().err
    assert evaluate(data, tmp_path / "exact", "--bf16", model="convnext") == 0, "a report of one precision"
    for folders in ([tmp_path / "exact"], [tmp_path / "exact", tmp_path / "bf16"]):
        capsys.readouterr()
        assert compare(list(map(str, folders))) == 1
        assert "evaluated in different precisions are not compared" in capsys.readouterr().err


def test_results_of_earlier_versions_are_float32(data, tmp_path, capsys):
    for name in ("old", "new"):
        assert evaluate(data, tmp_path / name, model="vit" if name == "old" else "convnext") == 0
    content = json.loads((tmp_path / "old" / "results.json").read_text())
    del content["models"][0]["precision"]
    (tmp_path / "old" / "results.json").write_text(json.dumps(content))
    assert compare([str(tmp_path / "old"), str(tmp_path / "new")]) == 0
    content["models"][0]["precision"] = "int4"
    (tmp_path / "old" / "results.json").write_text(json.dumps(content))
    assert compare([str(tmp_path / "old"), str(tmp_path / "new")]) == 1
    assert "no results of luab evaluate" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["vit", "convnext"])
def test_a_compiled_model_answers_and_looks_alike(data, tmp_path, monkeypatch, model):
    """The attention's hooks come after the first pass has compiled the model without them."""
    calls = []

    def compiled(model):
        calls.append(model)
        return _compile(model)

    _compile = partial(torch.compile, backend="eager")
    assert evaluate(data, tmp_path / "plain", model=model, boxes=True) == 0
    monkeypatch.setattr(torch, "compile", compiled)
    assert evaluate(data, tmp_path / "compiled", "--compile", model=model, boxes=True) == 0
    assert len(calls) == 1
    np.testing.assert_allclose(logits(tmp_path / "compiled"), logits(tmp_path / "plain"), atol=1e-5)
    plain, other = (
        json.loads((tmp_path / name / "results.json").read_text())["benchmarks"]
        for name in ("plain", "compiled")
    )
    for key, entry in plain.items():
        expected = entry["models"][model]["metrics"]
        assert other[key]["models"][model]["metrics"] == pytest.approx(expected, abs=1e-5), key


class Memory:
    """A task for which the device has room for so many images."""

    def __init__(self, room: int):
        self.room, self.asked = room, []

    def ask(self, pixel_values, positions):
        self.asked.append(len(positions))
        assert pixel_values.shape == (len(positions), 3, 8, 8)
        if len(positions) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        raise NotFinite([0])  # of an image of zeros


@pytest.mark.parametrize(("room", "found"), [(5000, LARGEST), (700, 512), (1, 1)])
def test_the_largest_batch_that_fits_is_found(room, found):
    assert fitting(color_classifier(), Memory(room), "meta") == found


def test_a_device_without_room_for_an_image_says_so():
    with pytest.raises(ValueError, match="not enough memory on meta for a single image of 8 x 8"):
        fitting(color_classifier(), Memory(0), "meta")


def test_a_cpu_is_not_filled():
    memory = Memory(5000)
    assert fitting(color_classifier(), memory, "cpu") == AUTO_ELSEWHERE
    assert memory.asked == []


def test_the_batch_size_may_be_found(data, tmp_path, capsys):
    assert evaluate(data, tmp_path / "auto", "--batch-size", "auto") == 0
    assert f"folder-a, vit: {COUNT} images in" in capsys.readouterr().err
    assert evaluate(data, tmp_path / "one", "--batch-size", "1") == 0
    np.testing.assert_allclose(logits(tmp_path / "auto"), logits(tmp_path / "one"), atol=1e-5)
    capsys.readouterr()
    assert evaluate(data, tmp_path / "auto") == 0
    assert "images/s" not in capsys.readouterr().err, "nothing to compute"


def test_what_a_device_does_not_do_is_said_before_a_model_is_loaded(monkeypatch):
    with pytest.raises(ValueError, match="--bf16 is for cpu and cuda, and --device is mps"):
        check_device("mps", bf16=True)
    with pytest.raises(ValueError, match="--device gpu: give cpu, cuda"):
        check_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="--device cuda: torch finds no such GPU"):
            check_device("cuda")
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ValueError, match="--compile needs a C"):
        check_device("cpu", compiled=True)


def test_bfloat16_computes_in_it(data):
    classifier = load_classifier(str(data / "vit"), bf16=True)
    found = []
    classifier.model.classifier.register_forward_hook(lambda _, args, output: found.append(output.dtype))
    assert classifier.logits(torch.zeros(1, 3, IMAGE_SIZE, IMAGE_SIZE)).dtype == torch.float32
    assert found == [torch.bfloat16]
