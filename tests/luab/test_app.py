"""`luab app`: what it says of an image and a click, what it makes of hostile input, and the served page."""

import io
import json
import os
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures.tiny_models import IMAGE_SIZE, tiny_model
from PIL import Image
from torch.nn.functional import interpolate

from luab.app.asking import ask, loss_of, read
from luab.app.cards import cards, problem
from luab.app.samples import sample
from luab.app.session import Handlers
from luab.commands.app import main
from luab.models import load_models
from luab_attention.density import density, nearness
from luab_eval.models import Classifier
from luab_eval.pointing import attention_maps
from luab_trainer.losses.attention import AttentionLoss, defaults
from luab_vision.processors import square_processor
from luab_vision.transforms import EvalTransform, ImageSettings

SETTINGS = ImageSettings(size=IMAGE_SIZE, resize=IMAGE_SIZE)  # a wide image loses its sides
HOSTILE = '<img src=x onerror="alert(1)">'


def classifier(model_type: str = "vit", name: str = "a") -> Classifier:
    labels = [HOSTILE, "ant", "bee", "cat", "dog"]
    return Classifier(name, tiny_model(model_type).eval(), labels, SETTINGS)


def picture(width: int = 48, height: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def file_of(pixels: np.ndarray, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


@torch.no_grad()
@pytest.mark.parametrize("model_type", ["vit", "convnext"])
def test_what_a_model_says_is_what_it_says_elsewhere(model_type):
    model, pixels = classifier(model_type), picture()
    seen = ask(model, pixels)
    values, view = EvalTransform(SETTINGS)(pixels)
    probabilities = model.logits(values[None])[0].softmax(dim=0)
    assert [label for label, _ in seen.top] == [
        model.labels[i] for i in probabilities.argsort(descending=True)
    ]
    assert sum(probability for _, probability in seen.top) == pytest.approx(1, abs=1e-5)
    assert seen.view == view and seen.picture.size == (IMAGE_SIZE, IMAGE_SIZE)
    maps = attention_maps(model.model, values[None], probabilities.argmax()[None, None])
    own = interpolate(torch.from_numpy(seen.map)[None, None], IMAGE_SIZE, mode="bilinear")
    assert torch.allclose(maps, own, atol=1e-6)
    assert seen.attention.sum(dim=(-2, -1)).tolist() == pytest.approx([1.0] * len(seen.attention), abs=1e-4)


@pytest.mark.parametrize("form", ["hinge", "kl"])
@pytest.mark.parametrize("model_type", ["vit", "convnext"])
def test_a_clicks_loss_is_that_of_training(model_type, form):
    """The click in the image, by hand in the crop: the middle 32 of 48 columns."""
    seen = ask(classifier(model_type), picture())
    found = loss_of(seen, (0.5 + 0.25 * 2 / 3, 0.25), form)
    points, weights = torch.tensor([[0.75, 0.25]]), torch.ones(1)
    radius, tolerance, _ = defaults(seen.kind, form)
    make = nearness if form == "hinge" else density
    target = make(points, weights, tuple(seen.attention.shape[-2:]), radius)
    assert found.target == pytest.approx(target.numpy(), abs=1e-5)
    loss = AttentionLoss(form, radius, tolerance)(
        seen.attention[None, None], points[None, None], weights[None, None]
    )
    assert found.value == pytest.approx(loss.item(), abs=1e-5) and (found.value > 0 or form == "hinge")
    if form == "hinge" and len(seen.attention) == 1:
        assert found.value == pytest.approx(max(0, found.far - tolerance), abs=1e-5)


def test_a_click_beside_the_crop_is_no_target():
    seen = ask(classifier(), picture())
    assert loss_of(seen, (0.05, 0.5), "hinge") is None
    assert "outside the part that the model sees" in cards([seen], (0.05, 0.5), "hinge")
    with pytest.raises(ValueError, match="attention_form='mse' is unknown"):
        loss_of(seen, (0.5, 0.5), "mse")


def test_a_model_that_shows_no_attention_is_asked_all_the_same():
    seen = ask(classifier("swiftformer"), picture())
    assert seen.map is None and loss_of(seen, (0.5, 0.5), "hinge") is None and len(seen.top) == 5
    assert "It is not known where models of this type look" in cards([seen], (0.5, 0.5), "kl")


def test_attention_that_is_not_finite_is_named():
    seen = ask(classifier(), picture())
    seen = replace(seen, attention=torch.full_like(seen.attention, torch.nan))
    assert "<b>Attention that is not finite:</b>" in cards([seen], None, "hinge")


def test_names_stay_text_and_pictures_are_embedded():
    text = cards([ask(classifier(name=HOSTILE), picture())], (0.5, 0.5), "hinge") + problem(HOSTILE)
    assert HOSTILE not in text and text.count("&lt;img src=x onerror=&quot;alert(1)&quot;&gt;") == 3
    assert not re.findall(r'(?:src|href)="(?!data:image/webp;base64,)', text)
    assert text.count("<img") == 2 and "Attention loss" in text


def test_files_are_read_as_everywhere():
    pixels = picture()
    assert (read(file_of(pixels)) == pixels).all()
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read(file_of(pixels, "JPEG", exif=exif)).shape == (48, 32, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (file_of(picture())[:60], "decoded|damaged|truncated|cut off|image"),
        (
            file_of(np.zeros((1, 1, 3), np.uint8)).replace(b"\0\0\0\1\0\0\0\1", b"\0\1\0\0\0\1\0\0", 1),
            "pixels|allowed",
        ),
    ],
)
def test_what_is_no_image_is_said_on_the_page(data, message):
    on = Handlers([classifier()])
    session, shown, text = on.opened(data, "hinge")
    assert session is None and shown is None and 'role="alert"' in text and re.search(message, text)


def test_a_visit():
    on = Handlers([classifier(), classifier("convnext", "b")])
    session, shown, text = on.opened(file_of(picture(300, 200)), "hinge")
    assert shown.size == (560, 373) and text.count("luab-card") == 3 and "Attention loss" not in text
    session, crossed, text = on.clicked(session, [279.5, 186], "hinge")
    assert session.click == (0.5, pytest.approx(0.5)) and text.count("Attention loss") == 2
    assert (np.asarray(crossed) != np.asarray(shown)).any()
    assert "KL divergence" in on.changed(session, "kl")[2]
    number, session, _, text = on.sampled(0, "hinge")
    assert number == 1 and session.click == pytest.approx(sample(0)[1]) and "Attention loss" in text
    assert (
        on.closed()[:2] == (None, None) == on.clicked(None, [1, 1], "hinge")[:2] == on.changed(None, "kl")[:2]
    )


@pytest.mark.parametrize(
    "place",
    [None, "x", [], [1], [1, 2, 3], [float("nan"), 1], [-1, 5], [1e9, 5], ["a", "b"], {"x": 1}, [10**400, 1]],
)
def test_a_place_that_is_none_is_no_click(place):
    on = Handlers([classifier()])
    session, *_ = on.opened(file_of(picture()), "hinge")
    assert on.clicked(session, place, "hinge")[0].click is None


def test_samples_begin_anew_after_the_last():
    count = next(n for n in range(1, 1000) if sample(n) is sample(0))
    assert count == 48 and sum(sample(n)[1] is not None for n in range(count)) == 43


def test_without_gradio_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["--model", "nowhere"]) == 1
    assert "luab app: the page needs gradio: pip install 'luab[app]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [([], "--model is needed"), (["--model", "a", "--port", "0"], "--port 0: a port, 1 to")],
)
def test_options_that_make_no_sense(argv, message, capsys):
    assert main(argv) == 1 and message in capsys.readouterr().err


@pytest.fixture
def served(tmp_path):
    """The page of two models, and its address."""
    pytest.importorskip("gradio", reason="pip install 'luab[app]'")
    from luab.app.page import build, closed

    names = [tmp_path / name / "model" for name in ("one", "two")]
    for folder in names:
        tiny_model("vit").save_pretrained(folder)
        square_processor(IMAGE_SIZE).save_pretrained(folder)
    page = build(load_models([str(folder) for folder in names]))
    _, url, _ = page.launch(server_name="127.0.0.1", **closed())
    yield page, url
    page.close()


def event(url: str, name: str, data: list) -> dict:
    """What the page answers to an event, as its own script in the browser asks."""
    import httpx

    config = json.loads(httpx.get(f"{url}config").text)
    (found,) = [each for each in config["dependencies"] if each["targets"][0][1] == name]
    call = {"data": data, "fn_index": found["id"], "session_hash": "visitor"}
    assert httpx.post(f"{url}gradio_api/queue/join", json=call).status_code == 200
    with httpx.stream("GET", f"{url}gradio_api/queue/data?session_hash=visitor", timeout=60) as answer:
        for line in answer.iter_lines():
            if "process_completed" in line:
                return json.loads(line.removeprefix("data: "))
    raise AssertionError("the page did not answer")


def test_a_file_goes_to_the_page_and_no_other_file_does(served, tmp_path):
    import httpx

    _, url = served
    (path,) = httpx.post(f"{url}gradio_api/upload", files={"files": ("a.png", file_of(picture()))}).json()
    given = {"path": path, "meta": {"_type": "gradio.FileData"}}
    answer = event(url, "upload", [given, "hinge"])
    assert answer["success"] and answer["output"]["data"][2].count("luab-card") == 3
    secret = tmp_path / "secret.png"
    secret.write_bytes(file_of(picture()))
    for other in (secret, "/etc/hosts"):
        assert not event(url, "upload", [given | {"path": str(other)}, "hinge"])["success"]
        assert httpx.get(f"{url}gradio_api/file={other}").status_code in (403, 404)


def test_the_page_shares_nothing(served):
    import httpx

    page, url = served
    assert url.startswith("http://127.0.0.1:") and page.share_url is None and not page.analytics_enabled
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    text = httpx.get(url).text
    elsewhere = r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(?:https?:)?//(?!127\.0\.0\.1)'
    assert len(text) > 1000 and not re.findall(elsewhere, text)
    assert not json.loads(httpx.get(f"{url}gradio_api/info").text)["named_endpoints"]
