"""run.py: from a dataset folder to a checkpoint, by command line and by YAML."""

import json

import datasets
import numpy as np
import pytest
import transformers
import yaml
from fixtures.clicked import clicked_dataset
from fixtures.tiny_models import tiny_model
from huggingface_hub import ModelCard
from transformers import AutoModelForImageClassification

from luab_data.errors import SourceError
from luab_data.rows.classes import class_names
from luab_data.rows.columns import Columns
from luab_eval.models import load_classifier
from luab_trainer.arguments import RunArguments, parse
from luab_trainer.config import LUABConfig
from luab_trainer.options.file import Option, read_options
from luab_trainer.options.together import notes_of
from luab_trainer.run import main, train
from luab_vision.precision import SLOW
from luab_vision.processors import square_processor
from luab_vision.transforms import EvalTransform


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A dataset folder: train (24 rows) and validation (10), with clicks and boxes."""
    folder = tmp_path_factory.mktemp("data")
    for split, count in (("train", 24), ("validation", 10)):
        rows = clicked_dataset(count, seed=count)
        objects = [{"bbox": [[4.0, 8.0, 30.0, 24.0]], "category": [label]} for label in rows["label"]]
        rows.add_column("objects", objects).to_parquet(folder / f"{split}.parquet")
    return folder


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A folder with the config.json of a tiny ViT."""
    folder = tmp_path_factory.mktemp("config")
    tiny_model("vit").config.save_pretrained(folder)
    return folder


def options(data, config, out, **more):
    values = {
        "from_config": config, "dataset": data, "output_dir": out, "max_steps": 3, "logging_steps": 1,
        "per_device_train_batch_size": 8, "save_strategy": "no", "use_cpu": True, "disable_tqdm": True,
        "learning_rate": 1e-3, **more,
    }  # fmt: skip
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]


def test_trains_evaluates_and_saves(data, config, tmp_path):
    main(options(data, config, tmp_path, loss="both", byproduct="click"))
    metrics = json.loads((tmp_path / "eval_results.json").read_text())
    assert {
        "eval_accuracy",
        "eval_ce",
        "eval_point",
        "eval_attention",
        "eval_pointing_game",
    } <= metrics.keys()
    assert metrics["eval_pointing_game_images"] == 10
    model = AutoModelForImageClassification.from_pretrained(tmp_path)
    assert model.config.id2label[3] == "class_3"
    card = (tmp_path / "README.md").read_text()
    assert f"| accuracy | {metrics['eval_accuracy']:.4f} |" in card
    assert "| pointing_game |" in card
    assert "| started from | random weights |" in card


def test_a_checkpoint_answers_in_transformers_pipeline_as_it_does_here(data, tmp_path):
    tiny_model("mobilevit").save_pretrained(tmp_path / "base")
    processor = transformers.MobileViTImageProcessorPil(size=40, crop_size=32)  # blue, green, red
    processor.save_pretrained(tmp_path / "base")
    main(options(data, None, tmp_path / "out", model=tmp_path / "base", loss="none")[2:])

    image = clicked_dataset(10)[3]["image"]
    scores = transformers.pipeline("image-classification", str(tmp_path / "out"), top_k=None)(image)
    classifier = load_classifier(str(tmp_path / "out"))
    values, _ = EvalTransform(classifier.settings)(np.array(image))
    answers = classifier.logits(values[None]).softmax(-1)[0].tolist()
    assert {each["label"]: each["score"] for each in scores} == pytest.approx(
        dict(zip(classifier.labels, answers, strict=True)), abs=1e-5
    )


def test_a_processor_of_another_size_than_the_model_is_refused_before_training(data, tmp_path):
    tiny_model("vit").save_pretrained(tmp_path / "base")
    square_processor(48).save_pretrained(tmp_path / "base")
    out = tmp_path / "out"
    with pytest.raises(SystemExit, match=r"run.py: the model does not take .* 48 x 48 pixels.*Make size"):
        main(options(data, None, out, model=tmp_path / "base")[2:])
    assert not (out / "model.safetensors").exists()


def test_starts_from_a_checkpoint_with_other_classes_and_a_yaml_file(data, tmp_path):
    tiny_model("convnext", num_labels=3).save_pretrained(tmp_path / "base")
    square_processor(32).save_pretrained(tmp_path / "base")
    file = tmp_path / "config.yaml"
    out = tmp_path / "out"
    settings = {
        "model": str(tmp_path / "base"), "dataset": str(data), "output_dir": str(out), "loss": "point",
        "max_steps": 5, "learning_rate": "1e-3", "use_cpu": True, "save_strategy": "no", "disable_tqdm": True,
    }  # fmt: skip
    file.write_text(yaml.safe_dump(settings))
    more = ["--min_crop", "0.3", "--train_split", "train[:9]", "--eval_split", "train[9:]"]
    main([str(file), "--max_steps", "1", "--loss", "attention", *more])
    arguments = json.loads((out / "training_args.json").read_text())
    assert (arguments["max_steps"], arguments["loss"], arguments["learning_rate"]) == (1, "attention", 1e-3)
    assert (arguments["min_crop"], arguments["model"]) == (0.3, "base"), "of run.py too, without folders"
    card = ModelCard.load(out / "README.md")
    assert {result.dataset_split for result in card.data.eval_results} == {"train[9:]"}
    assert f"trained on {data.name} (`train[:9]`) and" in card.text
    assert AutoModelForImageClassification.from_pretrained(out).config.num_labels == 5


def test_any_dataset_with_image_label_and_point_columns(config, tmp_path):
    rows = clicked_dataset(12)
    points = [click and [click["x"], click["y"]] for click in rows["click"]]
    rows = rows.remove_columns("click").rename_columns({"image": "photo", "label": "breed"})
    rows = rows.add_column("clicked_at", points)
    datasets.DatasetDict(fit=rows).save_to_disk(tmp_path / "mine")
    names = {
        "image_column": "photo",
        "label_column": "breed",
        "point_column": "clicked_at",
        "train_split": "fit",
    }
    main(options(tmp_path / "mine", config, tmp_path / "out", loss="point", **names))
    assert (tmp_path / "out" / "model.safetensors").is_file()
    state_logs = (tmp_path / "out" / "README.md").read_text()
    assert "Not evaluated yet." in state_logs


def test_resume_continues_the_run(data, config, tmp_path):
    more = {"save_strategy": "steps", "save_steps": 1, "max_steps": 4}
    main(options(data, config, tmp_path / "whole", **more))
    (tmp_path / "resumed").mkdir()
    (tmp_path / "whole" / "checkpoint-2").rename(tmp_path / "resumed" / "checkpoint-2")
    (tmp_path / "resumed" / "checkpoint-3").mkdir()  # of a run that was killed while it saved
    (tmp_path / "resumed" / "checkpoint-3" / "model.safetensors").write_bytes(b"cut off")
    main(options(data, config, tmp_path / "resumed", resume_from_checkpoint="true", **more))
    whole, resumed = (
        json.loads((tmp_path / name / "checkpoint-4" / "trainer_state.json").read_text())["log_history"]
        for name in ("whole", "resumed")
    )
    assert [entry["loss"] for entry in resumed] == pytest.approx([entry["loss"] for entry in whole], rel=1e-5)


def test_a_finished_run_that_is_resumed_takes_no_further_step(data, config, tmp_path):
    """As after a kill during the last evaluation: 2 steps of the 3 of an epoch."""
    more = {"save_strategy": "steps", "save_steps": 1, "max_steps": 2, "lr_scheduler_type": "constant"}
    main(options(data, config, tmp_path, **more))
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").unlink()
    main(options(data, config, tmp_path, resume_from_checkpoint="true", **more))
    assert (tmp_path / "model.safetensors").read_bytes() == weights
    assert {path.name for path in tmp_path.glob("checkpoint-*")} == {"checkpoint-1", "checkpoint-2"}


def test_help_shows_ours_first_and_hides_the_hundred_others(capsys):
    with pytest.raises(SystemExit) as exit_:
        parse(["--help"], "Train.")
    assert exit_.value.code == 0
    shown = capsys.readouterr().out
    assert shown.index("--model") < shown.index("--loss") < shown.index("--learning_rate")
    assert "--fsdp" not in shown
    with pytest.raises(SystemExit):
        parse(["--help_all"], "Train.")
    assert "--fsdp" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of --model"),
        (["--model", "a", "--from_config", "b"], "give one of --model"),
        (["--model", "a"], "--dataset is missing"),
        (["--model", "a", "--dataset", "b", "--eval_boxes", "c"], "--eval_boxes needs --eval_dataset"),
        (
            [
                "--model",
                "a",
                "--dataset",
                "b",
                "--eval_boxes",
                "c",
                "--eval_dataset",
                "d",
                "--eval_split",
                "test",
            ],
            "--eval_split test does nothing with --eval_boxes",
        ),
        (["--model", "a", "--dataset", "b", "--loss", "clicks"], "invalid choice: 'clicks'"),
        (["missing.yaml"], "there is no file missing.yaml"),
        (["--from_config", "a", "--dataset", "b", "--image_size", "0"], "--image_size 0: pixels"),
        (["--model", "a", "--dataset", "b", "--min_crop", "3"], "--min_crop 3.0: a share"),
        (["--model", "a", "--dataset", "b", "--min_crop", "-1"], "--min_crop -1.0: a share"),
        (["--model", "a", "--dataset", "b", "--random_erasing", "2"], "--random_erasing 2.0: a probability"),
        (["--model", "a", "--dataset", "b", "--color_jitter", "nan"], "--color_jitter nan: a strength"),
        (["--attention_radius", "-1"], "--attention_radius -1.0: give a ratio of the crop, more than 0"),
        (["--modle", "a"], "there is no option --modle (did you mean --model?)"),
        (["--learning-rte=1"], "there is no option --learning-rte (did you mean --learning_rate?)"),
        (["--model", "a", "b"], "'b' belongs to no option"),
        (["--seed", "1", "c.yaml"], "c.yaml: a file of options comes first"),
        (["--from_config", "a", "--dataset", "b", "--do_train", "False"], "give it as --model"),
        (["--accelerator_config", '{"nonsense": 1}'], "nonsense"),
        (["--accelerator_config", "missing.json"], "missing.json"),
    ],
)
def test_wrong_command_lines_say_the_fix(arguments, message, capsys):
    with pytest.raises(SystemExit):
        parse(arguments, "Train.")
    shown = capsys.readouterr().err
    assert message in shown
    assert "--fsdp" not in shown  # the hundred other options do not bury the message


@pytest.mark.parametrize(
    ("run", "do_train", "message"),
    [
        ({"from_config": "a"}, False, "--do_train False evaluates a checkpoint: give it as --model"),
        ({"from_config": "a", "model": "b"}, True, "give one of --model"),
        ({"model": "b", "streaming": True}, True, "--streaming needs --max_steps"),
    ],
)
def test_python_refuses_the_runs_that_the_command_line_refuses(run, do_train, message, tmp_path):
    args = LUABConfig(str(tmp_path), do_train=do_train, use_cpu=True, report_to="none")
    with pytest.raises(SourceError, match=message):
        train(RunArguments(dataset="c", **run), args)


@pytest.mark.parametrize(
    ("run", "given", "notes"),
    [
        ({}, {"do_train": False}, []),
        ({}, {"freeze": "backbone"}, []),
        (
            {"min_crop": 0.5, "flip": False},
            {"do_train": False, "freeze": "1", "cutmix": 0.5, "ema_decay": 0.9},
            [
                "--do_train False trains nothing, so --min_crop 0.5, --no_flip, --cutmix 0.5, --freeze 1, "
                "--ema_decay 0.9 do nothing"
            ],
        ),
        (
            {},
            {"do_train": False, "lora_r": 4, "lora_targets": ["a", "b"], "layer_decay": 0.5},
            [
                "--do_train False trains nothing, so --layer_decay 0.5, --lora_r 4, --lora_targets a b do "
                "nothing"
            ],
        ),
        ({}, {"do_train": False, "label_policy": "authors"}, ["so --label_policy authors does nothing"]),
        (
            {},
            {"loss": "none", "attention_radius": 0.3, "attention_form": "kl"},
            ["--loss none has no attention loss, so --attention_form kl, --attention_radius 0.3 do nothing"],
        ),
        ({}, {"loss": "point", "attention_tolerance": 0.1}, ["so --attention_tolerance 0.1 does nothing"]),
        (
            {},
            {"point_weight": 1.0},
            ["--loss attention has no point loss, so --point_weight 1.0 does nothing"],
        ),
        ({}, {"loss": "both", "point_weight": 1.0, "attention_weight": 1.0}, []),
        (
            {},
            {"background_mix": 0.0, "background_shape": "disc", "background_radius": 0.5},
            ["no background is mixed, so --background_radius 0.5, --background_shape disc do nothing"],
        ),
        ({}, {"background_shape": "disc"}, []),
        ({}, {"loss": "none", "byproduct": "trace"}, ["so --byproduct trace does nothing"]),
        ({}, {"loss": "none", "byproduct": "trace", "background_mix": 0.5}, []),
        ({}, {"cutmix_alpha": 2.0}, ["--cutmix is 0, so --cutmix_alpha 2.0 does nothing"]),
        ({}, {"mixup_alpha": 2.0, "mixup": 0.5}, []),
        (
            {"shuffle_buffer": 5},
            {},
            ["without --streaming all rows are shuffled, so --shuffle_buffer 5 does"],
        ),
        ({"from_config": "x", "model": None}, {"freeze": "2"}, ["the frozen weights stay random"]),
        ({"from_config": "x", "model": None}, {"lora_r": 2}, ["the head and LoRA's own stay random"]),
    ],
)
def test_what_options_without_effect_are_said_to_be(run, given, notes, tmp_path):
    args = LUABConfig(str(tmp_path), use_cpu=True, report_to="none", **given)
    args.settle_mix(multi_label=False)
    found = notes_of(RunArguments(dataset="c", **{"model": "b", **run}), args)
    assert len(found) == len(notes)
    assert all(note in each for note, each in zip(notes, found, strict=True))


@pytest.mark.parametrize("do_train", [True, False])
@pytest.mark.parametrize(
    ("capability", "has", "slow"),
    [
        ("AVX2", (), True),
        ("AVX512", (), True),
        ("AVX512", ("avx512_bf16",), False),
        ("AVX512", ("amx_bf16",), False),
        ("AVX512", None, False),  # an older torch, which does not say
        ("SVE256", (), False),
    ],
)
def test_a_cpu_that_is_slow_in_bfloat16_is_said(capability, has, slow, do_train, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)
    monkeypatch.delattr("torch.cpu.get_capabilities", raising=False)
    if has is not None:
        given = dict.fromkeys(has, True)
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda: given, raising=False)
    args = LUABConfig(str(tmp_path), use_cpu=True, bf16=True, do_train=do_train, report_to="none")
    found = notes_of(RunArguments(dataset="c", model="b"), args)
    assert found == ([f"warning: --bf16: {SLOW}"] if slow else [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lose: point", "unknown option: lose (did you mean loss?)"),
        ("loss: clicks", "take one of none"),
        ("loss: point\nloss: none", "loss occurs twice"),
        ("max_steps: 1.5", "invalid int value: '1.5'"),
        ("max_steps: [1]", "max_steps takes one value, not a list"),
        ("max_steps:", "max_steps has no value"),
        ("model: &a x\ndataset: *a", "anchors and aliases"),
        ("x: " + "[" * 5000, "is not YAML"),
        ("# " + "x" * 1_000_001, "is larger than 1,000,000 bytes"),
        ("[1]", "must hold"),
        ("a: [", "is not YAML"),
        ("seed: !!int 3", "tags (tag:yaml.org,2002:int) are not supported"),
        ("lora_targets: [[a]]", "lora_targets takes a list of texts, not of lists"),
        (
            "lr_scheduler_kwargs: {a: {b: no}}",
            "lr_scheduler_kwargs.a.b: no is not clear; write true, false or",
        ),
        ("lr_scheduler_kwargs: {a: [010]}", "lr_scheduler_kwargs.a: 010 is not clear"),
        ("lr_scheduler_kwargs: {a: 2026-01-31}", "2026-01-31 is not clear"),
    ],
)
def test_wrong_yaml_says_the_fix(tmp_path, text, message, capsys):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(SystemExit):
        parse([str(file)], "Train.")
    assert message in capsys.readouterr().err


def test_a_yaml_file_holds_the_texts_of_the_command_line(tmp_path):
    file = tmp_path / "config.yaml"
    lines = [
        "model: 10", "dataset: d", "use_cpu: on", "bf16: off", "save_strategy: no", "learning_rate: 1e-3",
        "run_name: yes", "eval_split: null", "lr_scheduler_type: cosine_with_restarts",
        "lr_scheduler_kwargs: {num_cycles: 2}", "report_to: [none]",
    ]  # fmt: skip
    file.write_text("\n".join(lines))
    run, args = parse([str(file), "--learning_rate", "2"], "Train.")
    assert (run.model, run.eval_split, args.run_name) == ("10", None, "yes")
    assert (args.use_cpu, args.bf16, args.save_strategy, args.learning_rate) == (True, False, "no", 2)
    assert (args.lr_scheduler_kwargs, args.report_to) == ({"num_cycles": 2}, [])


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1e-6, "b": -1, "c": 2.5E+3, "d": true, "e": null, "f": {"g": [0, 1e2, "h"]}}',
        '{"a": "1e-6", "no": "no", "2": "3", "b": "true", "c": "", "d": "a b", "e": "2026-01-31"}',
        "{}",
    ],
)
def test_an_object_in_a_yaml_file_is_that_of_the_command_line(tmp_path, text):
    file = tmp_path / "config.yaml"
    file.write_text(f"object: {text}")
    assert read_options(file, {"object": Option("dict | str | None", None)}) == {"object": json.loads(text)}


def test_plain_words_of_an_object_and_of_a_list(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("object: {a: 1e-6, b: .5, c: 3., d: +1, e: cosine, f: ~}\nwords: [no, 1e-6, 010]")
    found = read_options(file, {"object": Option("dict", None), "words": Option("list[str]", None)})
    assert found == {
        "object": {"a": 1e-6, "b": 0.5, "c": 3.0, "d": 1, "e": "cosine", "f": None},
        "words": ["no", "1e-6", "010"],
    }


def test_a_smallest_learning_rate_from_a_yaml_file(data, config, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("lr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs: {min_lr: 1e-6}\n")
    main([str(file), *options(data, config, tmp_path / "out")])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"dataset": "/no/such/folder"}, "cannot load the dataset '/no/such/folder'"),
        ({"train_split": "trian"}, "has no split 'trian'; it has train, validation. Set --train_split"),
        ({"eval_split": "dev"}, "has no split 'dev'; it has train, validation. Set --eval_split"),
        (
            {"image_column": "photo"},
            "no column 'photo'; it has image, label, click, objects. Set --image_column",
        ),
        (
            {"label_column": "breed"},
            "no column 'breed'; it has image, label, click, objects. Set --label_column",
        ),
        ({"label_column": "click"}, "class numbers or names are needed"),
        (
            {"from_config": "/no/such/config.json"},
            "config.json: there is no such file",
        ),
        ({"point_column": "clicks"}, "the dataset has no column 'clicks'"),
        (
            {"resume_from_checkpoint": "/nope"},
            "--resume_from_checkpoint /nope: there is no whole checkpoint there",
        ),
        ({"resume_from_checkpoint": "true"}, "--resume_from_checkpoint true: there is no checkpoint in"),
    ],
)
def test_wrong_names_say_the_fix(data, config, tmp_path, more, message):
    with pytest.raises(SystemExit) as exit_:
        main(options(data, config, tmp_path, **more))
    assert message in str(exit_.value)


def test_a_checkpoint_has_the_names_of_the_class_label():
    rows = clicked_dataset(10)
    rows = rows.add_column("class_name", [["cat", "dog"][label % 2] for label in rows["label"]])
    assert class_names(rows, Columns()) == [f"class_{c}" for c in range(5)], "not the stranger's column"


def test_of_imagenets_wnids_a_checkpoint_has_the_readable_names():
    rows = clicked_dataset(10)
    names = ["tench", "crane", "crane", "cat", None]
    rows = rows.add_column("class_name", [names[label] for label in rows["label"]])
    rows = rows.cast_column("label", datasets.ClassLabel(names=[f"n0000000{c}" for c in range(5)]))
    found = class_names(rows, Columns())
    assert found == ["tench", "crane (n00000001)", "crane (n00000002)", "cat", "n00000004"]
