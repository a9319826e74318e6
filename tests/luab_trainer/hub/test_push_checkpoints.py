"""`run.py --push_to_hub`: checkpoints go up while the model is trained, and load anywhere."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from fixtures.clicked import clicked_dataset
from fixtures.hub.served import TOKEN
from fixtures.tiny_models import IMAGE_SIZE, tiny_model
from fixtures.with_timm import make_importable, needs_timm
from huggingface_hub import ModelCard, constants
from huggingface_hub.cli.hf import main as hf
from PIL import Image
from safetensors.torch import save
from transformers import AutoModelForImageClassification, pipeline

from luab import cli
from luab_data.hub import retry
from luab_trainer.arguments import parse
from luab_trainer.classifier import load_start
from luab_trainer.config import LUABConfig
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.hub.upload import public_arguments
from luab_trainer.run import main
from luab_trainer.trainer import LUABTrainer
from luab_vision.processors import square_processor
from luab_vision.transforms import EvalTransform, ImageSettings

PUBLISHED = [
    ".gitattributes", "README.md", "SHA256SUMS", "config.json", "eval_results.json",
    "luab_head.safetensors", "model.safetensors", "preprocessor_config.json", "training_args.json",
]  # fmt: skip


@pytest.fixture
def work(tmp_path):
    """A dataset, a model's configuration, and things that must not be published."""
    for split, count in (("train", 24), ("validation", 10)):
        clicked_dataset(count, seed=count).to_parquet(tmp_path / "data" / f"{split}.parquet")
    tiny_model("vit").config.save_pretrained(tmp_path / "config")
    (tmp_path / "out" / "_upload" / "checkpoint-9").mkdir(parents=True)  # of a run that was killed
    (tmp_path / "out" / "notes.bin").write_text("private")
    return tmp_path


def train(options, target):
    """run.py, with retries that do not take their time; what it prints for a user goes to the log."""
    retry.WAITS = (0.01,)
    values = {
        "dataset": "data", "output_dir": "out", "loss": "both", "max_steps": 3, "save_steps": 1,
        "per_device_train_batch_size": 8, "logging_steps": 1, "use_cpu": True, "disable_tqdm": True,
        "report_to": "none", "save_total_limit": 1, "hub_model_id": target, **options,
    }  # fmt: skip
    start = {} if "model" in options else {"from_config": "config"}
    arguments = [text for name, value in {**start, **values}.items() for text in (f"--{name}", str(value))]
    main([*arguments, "--push_to_hub"])


def read_back(repo_id):
    """What a reader with transformers alone gets."""
    model, info = AutoModelForImageClassification.from_pretrained(repo_id, output_loading_info=True)
    answers = pipeline("image-classification", model=repo_id, device="cpu")(Image.new("RGB", (50, 40)))
    return type(model).__name__, any(info.values()), sorted(answer["label"] for answer in answers)


def upload_by_hand(repo_id):
    """The command of the README, and of the error when an upload failed."""
    sys.argv = ["hf", "upload", repo_id, "out", "--exclude", "*/*"]
    hf()


def evaluate(repo_id, folder):
    """`luab evaluate` on a folder of images by class."""
    arguments = ["--model", repo_id, "--benchmarks", f"folder:mine={folder}", "--output-dir", "report"]
    return cli.main(["evaluate", *arguments, "--num-workers", "0", "--device", "cpu"])


def test_trained_published_and_read_back(hub, clients, work):
    result = clients.call(train, {}, "luab-vit", token=TOKEN, cwd=work)
    assert result.status == 0, result.output
    repository = hub.model("you/luab-vit")
    assert sorted(repository.files) == PUBLISHED
    assert repository.titles[0].startswith("Training in progress, step ")
    for name in PUBLISHED[1:]:
        assert repository.files[name].content == (work / "out" / name).read_bytes(), name
        assert str(work).encode() not in repository.files[name].content, f"{name} tells of this machine"
    assert not list((work / "out").glob("_upload/*"))

    card = ModelCard(repository.files["README.md"].content.decode())
    assert card.data.model_name == "luab-vit"
    metrics = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert metrics["accuracy"] == json.loads(repository.files["eval_results.json"].content)["eval_accuracy"]
    how = ("| seed | 42 |", "10 x point + 2 x attention", "apache-2.0", "han2023neglected")
    for text in ('model="you/luab-vit"', *how):
        assert text in card.text

    found = clients.call(read_back, "you/luab-vit")
    assert found.status == 0, found.output
    assert found.value == ("ViTForImageClassification", False, [f"class_{k}" for k in range(5)])

    for k in range(5):
        (work / "mine" / f"class_{k}").mkdir(parents=True)
        Image.new("RGB", (32, 32), (50 * k, 0, 0)).save(work / "mine" / f"class_{k}" / "image.png")
    evaluated = clients.call(evaluate, "you/luab-vit", work / "mine", cwd=work)
    assert evaluated.value == 0, evaluated.output
    assert "luab-vit" in evaluated.output

    (work / "out" / "notes.bin").unlink()
    by_hand = clients.call(upload_by_hand, "you/by-hand", token=TOKEN, cwd=work)
    assert sorted(hub.model("you/by-hand").files) == PUBLISHED, by_hand.output
    assert clients.call(read_back, "you/by-hand").value == found.value


def test_a_revision_of_its_own_is_made_and_main_stays(hub, clients, work):
    options = {"hub_revision": "second-try", "max_steps": 1}
    result = clients.call(train, options, "you/tries", token=TOKEN, cwd=work)
    assert result.status == 0, result.output
    repository = hub.model("you/tries")
    assert sorted(repository.branches["second-try"].files) == PUBLISHED
    assert not repository.titles


def test_a_repository_keeps_nothing_of_an_earlier_model(hub, clients, work):
    adapter = {"adapter/adapter_config.json": b"{}", "adapter/adapter_model.safetensors": b""}
    results = {"eval_results.json": b"{}", "eval_classes.json": b"{}"}
    others = {"adapter/notes.txt": b"", "samples/image.png": b""}
    shards = {"model-00001-of-00002.safetensors": b"", "model.safetensors.index.json": b"{}"}
    earlier = adapter | results | shards | {"luab_head.safetensors": b""}
    hub.add("model", "you/again").add(**earlier, **others)
    (work / "out" / "eval_results.json").write_text("{}")
    options = {"do_eval": False, "loss": "attention", "max_steps": 1}
    result = clients.call(train, options, "you/again", token=TOKEN, cwd=work)
    assert result.status == 0, result.output
    left_out = {"eval_results.json", "luab_head.safetensors"}
    assert set(hub.model("you/again").files) == {*PUBLISHED, *others} - left_out


def train_without_processor(target):
    args = LUABConfig(
        "out", loss="none", max_steps=1, save_steps=1, use_cpu=True, disable_tqdm=True, report_to="none",
        push_to_hub=True, hub_model_id=target,
    )  # fmt: skip
    data = ViewDataset(clicked_dataset(8), EvalTransform(ImageSettings(size=IMAGE_SIZE)))
    trainer = LUABTrainer(tiny_model("vit"), args, train_dataset=data)
    trainer.train()
    trainer.push_to_hub()


def test_a_model_without_a_processor_has_no_earlier_one_in_its_repository(hub, clients, work):
    result = clients.call(train, {"max_steps": 1}, "you/bare", token=TOKEN, cwd=work)
    assert result.status == 0, result.output
    assert "preprocessor_config.json" in hub.model("you/bare").files
    result = clients.call(train_without_processor, "you/bare", token=TOKEN, cwd=work)
    assert result.status == 0, result.output
    left_out = {"preprocessor_config.json", "eval_results.json", "luab_head.safetensors"}
    assert set(hub.model("you/bare").files) == set(PUBLISHED) - left_out


def evaluate_loss(model, loss, out, offline=False):
    """`run.py --do_train False` with a loss."""
    constants.HF_HUB_OFFLINE = offline
    values = {
        "model": model, "dataset": "data", "output_dir": out, "loss": loss, "do_train": False,
        "use_cpu": True, "disable_tqdm": True, "report_to": "none",
    }  # fmt: skip
    main([text for name, value in values.items() for text in (f"--{name}", str(value))])


def test_the_head_of_a_model_on_the_hub_is_evaluated(hub, clients, work):
    result = clients.call(train, {}, "you/headed", token=TOKEN, cwd=work)
    assert result.status == 0, result.output
    for model, out in (("you/headed", "on-hub"), ("out", "here")):
        result = clients.call(evaluate_loss, model, "both", out, cwd=work)
        assert result.status == 0, result.output
    here, there = (json.loads((work / out / "eval_results.json").read_text()) for out in ("here", "on-hub"))
    assert here["eval_point"] == there["eval_point"]
    result = clients.call(evaluate_loss, "you/headed", "point", "offline", True, cwd=work)
    assert result.status == 0, result.output


def test_a_model_on_the_hub_without_the_head_is_refused(hub, clients, work):
    result = clients.call(train, {"loss": "none"}, "you/plain", token=TOKEN, cwd=work)
    assert result.status == 0, result.output
    result = clients.call(evaluate_loss, "you/plain", "attention", "unused", cwd=work)
    assert result.status == 0, result.output
    shutil.copy(work / "out" / "model.safetensors", work / "luab_head.safetensors")  # not of this model
    missing = "it has no luab_head.safetensors, and the point loss is that of its own head."
    unknown = "the head of its point loss, luab_head.safetensors, cannot be had from the Hub: "
    for offline, message in ((False, missing), (True, unknown)):
        result = clients.call(evaluate_loss, "you/plain", "point", "refused", offline, cwd=work)
        assert result.status == 1
        assert f"run.py: --model you/plain: {message}" in result.output
        assert "evaluate with --loss none." in result.output


def test_a_failed_upload_is_reported_and_the_next_one_catches_up(hub, clients, work):
    hub.fail("POST .*/commit/", 500)
    result = clients.call(train, {"hub_always_push": True}, "you/catches-up", token=TOKEN, cwd=work)
    assert result.status == 0, result.output
    assert "checkpoint-1 was not uploaded to you/catches-up: Server error '500 " in result.output
    assert "Training continues" in result.output
    repository = hub.model("you/catches-up")
    assert "Training in progress, step 2" in repository.titles
    assert "Training in progress, step 1" not in repository.titles
    model = (work / "out" / "model.safetensors").read_bytes()
    assert repository.files["model.safetensors"].content == model


def test_a_checkpoint_that_cannot_be_staged_does_not_stop_training(hub, clients, work):
    shutil.rmtree(work / "out" / "_upload")
    (work / "out" / "_upload").write_text("in the way")
    result = clients.call(train, {}, "you/staged", token=TOKEN, cwd=work)
    assert result.status == 0, result.output
    assert "checkpoint-1 was not uploaded to you/staged: " in result.output
    assert sorted(hub.model("you/staged").files) == PUBLISHED


def test_a_last_upload_that_fails_loses_nothing(hub, clients, work):
    hub.fail("POST .*/commit/", 503, times=100)
    result = clients.call(train, {"hub_strategy": "end"}, "you/later", token=TOKEN, cwd=work)
    assert result.status == 1
    assert "run.py: the model is in out, but its upload to you/later failed: " in result.output
    assert (work / "out" / "model.safetensors").is_file()
    hub.rules.clear()
    again = {"hub_strategy": "end", "resume_from_checkpoint": "true"}
    result = clients.call(train, again, "you/later", token=TOKEN, cwd=work)
    assert result.status == 0, result.output
    assert sorted(hub.model("you/later").files) == PUBLISHED


@pytest.mark.parametrize(("token", "exists"), [(None, False), ("hf_reader", True)])
def test_no_access_is_said_before_training(hub, clients, work, token, exists):
    if exists:
        hub.add("model", "you/mine")
    result = clients.call(train, {}, "you/mine", token=token, cwd=work)
    assert result.status == 1
    assert "run.py: --push_to_hub: the Hub gives no access to you/mine" in result.output
    assert "hf auth login" in result.output
    assert "'loss'" not in result.output


def test_the_license_of_the_model_that_it_started_from_is_passed_on(hub, clients, work):
    base = work / "base"
    tiny_model("vit").save_pretrained(base)
    square_processor(32).save_pretrained(base)
    files = {path.name: path.read_bytes() for path in base.iterdir()}
    hub.add("model", "you/base").add(**files, **{"README.md": b"---\nlicense: cc-by-nc-4.0\n---\n"})
    result = clients.call(train, {"model": "you/base", "max_steps": 1}, "you/child", token=TOKEN, cwd=work)
    assert result.status == 0, result.output
    card = ModelCard(hub.model("you/child").files["README.md"].content.decode())
    assert (card.data.license, card.data.base_model) == ("cc-by-nc-4.0", "you/base")
    assert "The weights started from you/base: its license (cc-by-nc-4.0) applies." in card.text


def test_a_pickle_is_refused(hub, clients, work):
    files = {"config.json": (work / "config" / "config.json").read_bytes(), "pytorch_model.bin": b"\x80\x04."}
    hub.add("model", "you/pickled").add(**files)
    result = clients.call(train, {"model": "you/pickled"}, "you/child", token=TOKEN, cwd=work)
    assert result.status == 1
    assert "run.py: --model you/pickled" in result.output
    assert "safetensors" in result.output
    image = work / "mine" / "class_0" / "image.png"
    image.parent.mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(image)
    evaluated = clients.call(evaluate, "you/pickled", work / "mine", cwd=work)
    assert evaluated.value == 1
    assert "never pickle" in evaluated.output
    assert not hub.sent.get("pytorch_model.bin")
    assert not hub.count("/api/models/you/pickled/(commits|discussions)"), "nobody is asked to convert it"


def timm_weights() -> bytes:
    make_importable()
    from timm import create_model

    return save(create_model("test_vit", num_classes=5).state_dict())


def evaluate_timm(models, data):
    make_importable()
    return [evaluate(model, data) for model in models]


@needs_timm
def test_timm_reads_safetensors_and_no_pickle(hub, clients, work):
    """Timm by itself falls back to `pytorch_model.bin`, and to the authors' own servers."""
    made = clients.call(timm_weights)
    assert made.status == 0, made.output
    names = [f"class_{k}" for k in range(5)]
    config = {"architecture": "test_vit", "num_classes": 5, "pretrained_cfg": {"label_names": names}}
    described = {"config.json": json.dumps(config).encode()}
    hub.add("model", "you/timm").add(**described, **{"model.safetensors": made.value})
    hub.add("model", "you/pickled").add(**described, **{"pytorch_model.bin": b"\x80\x04."})
    for k in range(5):
        (work / "mine" / f"class_{k}").mkdir(parents=True)
        Image.new("RGB", (32, 32), (50 * k, 0, 0)).save(work / "mine" / f"class_{k}" / "image.png")
    refused = [
        "timm:hf-hub:you/pickled",
        "timm:hf-hub:you/none",
        "timm:no_such_model",
        "timm:legacy_xception",
    ]
    models = ["timm:hf-hub:you/timm", *refused]
    evaluated = clients.call(evaluate_timm, models, work / "mine", cwd=work)
    assert evaluated.value == [0, 1, 1, 1, 1], evaluated.output
    for name in refused:
        assert f"luab evaluate: --model {name}: no classifier could be loaded" in evaluated.output
    assert not hub.count("pytorch_model.bin")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hub_token", "hf_secret"], "leave --hub_token out"),
        (["--hub_strategy", "checkpoint"], "Allowed are 'every_save'"),
        (["--hub_strategy", "all_checkpoints"], "Allowed are 'every_save'"),
    ],
)
def test_what_would_publish_a_secret_or_a_pickle_is_refused(arguments, message, capsys):
    with pytest.raises(SystemExit):
        parse(["--model", "a", "--dataset", "b", *arguments], "Train.")
    error = capsys.readouterr().err
    assert message in error
    assert "hf_secret" not in error


def test_published_arguments_hold_neither_token_nor_folders(tmp_path):
    arguments = public_arguments(LUABConfig(str(tmp_path / "run"), hub_token="hf_secret", use_cpu=True))
    assert arguments["output_dir"] == "run"
    assert arguments["seed"] == 42
    assert not [key for key in arguments if key.endswith("token")]
    assert str(Path.home()) not in json.dumps(arguments)
    assert "secret" not in json.dumps(arguments)


def test_published_arguments_hold_no_part_of_a_relative_path_either(tmp_path, monkeypatch):
    (tmp_path / "patients/anna_k").mkdir(parents=True)
    (tmp_path / "patients/classes.txt").write_text("a\nb\n")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    others = {
        "dataset": "../patients/anna_k", "eval_dataset": "you/photos", "model": "google/vit-base-patch16-224",
        "from_config": "~/patients/vit.json", "class_names": "../patients/classes.txt",
        "points_file": "patients/anna_k.csv", "eval_boxes": "patients/boxes/anna_k.csv",
        "train_split": "train[:80%]", "augment": "rand-m9-mstd0.5-inc1", "label_column": "a/b",
    }  # fmt: skip
    args = LUABConfig("patients/anna_k/run", use_cpu=True, hub_model_id="you/vit")
    found = public_arguments(args, others)
    assert {name: found[name] for name in others} == {
        "dataset": "anna_k", "eval_dataset": "you/photos", "model": "google/vit-base-patch16-224",
        "from_config": "vit.json", "class_names": "classes.txt",
        "points_file": "anna_k.csv", "eval_boxes": "anna_k.csv",
        "train_split": "train[:80%]", "augment": "rand-m9-mstd0.5-inc1", "label_column": "a/b",
    }  # fmt: skip
    assert (found["output_dir"], found["hub_model_id"]) == ("run", "you/vit")
    assert args.output_dir == "patients/anna_k/run"  # itself unchanged
    monkeypatch.chdir(tmp_path)
    assert public_arguments(args, {"dataset": "patients/anna_k"})["dataset"] == "anna_k"
    long = ",".join(f"class {number}" for number in range(1000))
    assert public_arguments(args, {"class_names": long})["class_names"] == long


def test_reports_get_no_paths(tmp_path):
    args = LUABConfig(str(tmp_path / "patients" / "run"), use_cpu=True, hub_token="hf_secret")
    for sent in (args.to_dict(), args.to_sanitized_dict(), json.loads(args.to_json_string())):
        assert "patients" not in json.dumps(sent) and "secret" not in json.dumps(sent)
        assert sent["output_dir"] == "run"
    tiny_model("vit").save_pretrained(tmp_path / "patients" / "base")
    square_processor(32).save_pretrained(tmp_path / "patients" / "base")
    start = load_start(str(tmp_path / "patients" / "base"), None, ["a", "b"])
    assert start.model.config.to_dict()["_name_or_path"] == "base"  # reports have the model's config, too
