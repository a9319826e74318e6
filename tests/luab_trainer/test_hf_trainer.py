"""transformers' Trainer has the private methods that `OpenTrainer` overrides, and calls them in time."""

import inspect
from contextlib import contextmanager

import pytest
import torch
from fixtures.tiny_models import tiny_model
from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME

from luab_trainer.adapters.hf_trainer import CALLED, OVERRIDDEN, OpenTrainer, has_adapter, whole_modules

CHANGED = (
    "transformers changed Trainer.{name}: its parameters are {found}, and "
    "luab_trainer/adapters/hf_trainer.py expects {wanted}. "
    "Read the new method, change the adapter, and raise the bound in setup.cfg."
)


@pytest.mark.parametrize("name", [*OVERRIDDEN, *CALLED])
def test_the_trainer_has_the_private_method(name):
    method = getattr(Trainer, name, None)
    found = None if method is None else tuple(inspect.signature(method).parameters)[1:]
    wanted = {**OVERRIDDEN, **CALLED}[name]
    assert found == wanted, CHANGED.format(name=name, found=found, wanted=wanted)


def test_the_adapter_overrides_what_it_lists():
    private = {name for name in vars(OpenTrainer) if name.startswith("_") and not name.startswith("__")}
    assert private == set(OVERRIDDEN)


class _Square(PreTrainedModel):
    config_class = PretrainedConfig

    def __init__(self, config):
        super().__init__(config)
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, x, labels=None):
        return {"loss": ((self.weight * x - 1) ** 2).mean(), "logits": x}


class _Noting(OpenTrainer):
    """Notes what it is asked for, in order, and which files were there."""

    def __init__(self, *args, **kwargs):
        self.calls = []
        super().__init__(*args, **kwargs)

    def gradient_is_known(self, norm):
        self.calls.append(("gradient", self.state.global_step, self.model.weight.item()))

    def write_model(self, folder, state_dict):
        self.calls.append(("write", folder.name))
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.model.state_dict(), folder / "weights.pt")

    @contextmanager
    def saving_checkpoint(self, folder):
        self.calls.append(("begin", folder.name, folder.exists()))
        yield
        self.calls.append(("end", folder.name, folder.exists()))

    def checkpoint_is_written(self, folder):
        self.calls.append(("written", folder.name, sorted(file.name for file in folder.iterdir())))

    def read_model(self, folder):
        self.calls.append(("read", folder.rpartition("/")[2]))
        self.model.load_state_dict(torch.load(f"{folder}/weights.pt", weights_only=True))

    def read_best_model(self, folder):
        self.calls.append(("best", folder.name))


def trainer(folder, **options):
    options = {"save_steps": 1, "save_total_limit": 1, **options}
    args = TrainingArguments(
        str(folder), per_device_train_batch_size=1, per_device_eval_batch_size=1, learning_rate=0.1,
        report_to=[], disable_tqdm=True, use_cpu=True, **options,
    )  # fmt: skip
    rows = [{"x": torch.tensor([float(x)]), "labels": torch.tensor([0.0])} for x in (2, 3)]
    return _Noting(_Square(PretrainedConfig()), args, train_dataset=rows, eval_dataset=rows)


def calls(made, *kinds):
    return [call for call in made.calls if call[0] in kinds]


def test_a_gradient_is_known_before_it_is_applied(tmp_path):
    made = trainer(tmp_path, max_steps=2, save_strategy="no")
    made.train()
    (_, first, weight), (_, second, later) = calls(made, "gradient")
    assert (first, second) == (0, 1)
    assert weight == 1 != later


def test_a_checkpoint_is_written_whole_before_older_ones_go(tmp_path):
    made = trainer(tmp_path, max_steps=2)
    made.train()
    begin, write, written, end = calls(made, "begin", "write", "written", "end")[4:]
    assert begin == ("begin", "checkpoint-2", False)
    assert write == ("write", "checkpoint-2")
    assert {TRAINER_STATE_NAME, "optimizer.pt", "rng_state.pth", "weights.pt"} <= set(written[2])
    assert end == ("end", "checkpoint-2", True)
    assert [folder.name for folder in tmp_path.iterdir()] == ["checkpoint-2"]


def test_a_run_resumed_at_its_last_step_takes_no_other(tmp_path):
    trainer(tmp_path, max_steps=1).train()  # in the middle of an epoch of two
    made = trainer(tmp_path, max_steps=1)
    made.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    assert calls(made, "read") == [("read", "checkpoint-1")]
    assert not calls(made, "gradient")


def test_the_best_model_is_read_by_us(tmp_path):
    made = trainer(
        tmp_path, max_steps=2, eval_strategy="steps", eval_steps=1, load_best_model_at_end=True,
        save_total_limit=2,
    )  # fmt: skip
    made.train()
    assert [call[0] for call in calls(made, "best")] == ["best"]


def test_models_say_what_fsdp_keeps_whole_and_whether_they_have_an_adapter():
    model = tiny_model("vit")
    assert "ViTLayer" in whole_modules(model), "transformers no longer says it in `_no_split_modules`"
    assert has_adapter(model) is False
