"""Saves and loads checkpoints: the classifier as by `save_pretrained`, and our head in its own file."""

import json
from collections.abc import Mapping
from pathlib import Path

from accelerate import FullyShardedDataParallelPlugin
from accelerate.utils.constants import FSDP_MODEL_NAME
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HTTPError, RemoteEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.distributed.fsdp import StateDictType
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from luab_data.console.names import few
from luab_data.errors import SourceError
from luab_data.files.sums import SUMS, damage, listed_files, remove_listed, require_undamaged
from luab_data.hub.retry import reason
from luab_trainer.lora import ADAPTER_FILES, ADAPTER_FOLDER, is_adapted, load_adapter, merged, save_adapter
from luab_trainer.model import ATTENTION, LUABModel
from luab_trainer.public_names import source_name
from luab_trainer.said import say
from luab_vision.hooks import plain
from luab_vision.weights import WrongWeights, load_weights, require_all, require_finite

HEAD_FILE = "luab_head.safetensors"  # absent if no loss has parameters
_CLASSIFIER = "model."  # prefix of the classifier's parameters in LUABModel


def save_checkpoint(
    luab: LUABModel, folder: str | Path, state_dict: Mapping[str, Tensor] | None = None
) -> None:
    """Write the classifier (loadable without our code) and the head; of an adapted one, both its forms.

    `state_dict`: of the whole LUABModel, if it was gathered from several processes.

    Raises:
        SourceError: weights are NaN or infinite.
    """
    state_dict = luab.state_dict() if state_dict is None else state_dict
    try:
        require_finite(state_dict)
    except WrongWeights as error:
        raise SourceError(f"no checkpoint is written to {folder}: {error}.") from error
    head = {k: v.contiguous() for k, v in state_dict.items() if not k.startswith(_CLASSIFIER)}
    if is_adapted(luab.model):
        merged(luab.model).save_pretrained(folder)
        save_adapter(luab.model, Path(folder, ADAPTER_FOLDER), source_name(luab.config.name_or_path or None))
    else:
        classifier = {
            k.removeprefix(_CLASSIFIER): v for k, v in state_dict.items() if k.startswith(_CLASSIFIER)
        }
        luab.model.save_pretrained(folder, state_dict=classifier)
        remove_listed(Path(folder), ADAPTER_FILES)  # of an earlier run into the same folder
    if head:
        save_file(head, Path(folder, HEAD_FILE), metadata={"format": "pt"})
    else:
        Path(folder, HEAD_FILE).unlink(missing_ok=True)  # likewise


def require_whole_checkpoints(plugin: FullyShardedDataParallelPlugin) -> None:
    """Raises ValueError for FSDP settings that would not give a plain checkpoint."""
    version, kind = plugin.fsdp_version, plugin.state_dict_type
    if version != 2 or kind != StateDictType.FULL_STATE_DICT:
        raise ValueError(
            f"FSDP with fsdp_version {version} and fsdp_state_dict_type {kind.name} is not supported: only "
            "version 2 with FULL_STATE_DICT saves the classifier as a plain checkpoint. Take "
            "configs/accelerate/fsdp.yaml, or set both so in your own file."
        )


def check_fsdp(folder: str | Path, fsdp: bool) -> None:
    """Checks that a run resumes with FSDP exactly if the checkpoint was written with FSDP.

    The two kinds of run cannot read each other's optimizer state.

    Raises:
        SourceError: the checkpoint is of the other kind.
    """
    sharded = any(Path(folder).glob(f"{FSDP_MODEL_NAME}*"))
    if sharded != fsdp:
        raise SourceError(
            f"{folder} is of a run {'with' if sharded else 'without'} FSDP: resume it in the same way, or "
            f"start anew from its classifier with --model {folder}."
        )


def load_checkpoint(luab: LUABModel, folder: str | Path) -> None:
    """Load classifier and head in place.

    The classifier is loaded by `from_pretrained`, because transformers may store weights under other names
    than in memory.

    Raises:
        SourceError: the checkpoint is of another model, or was trained with other losses.
    """
    try:
        if is_adapted(luab.model):
            load_adapter(luab.model, Path(folder))
        else:
            loaded = load_weights(folder, luab.model.config, type(luab.model))
            require_all(loaded)
            luab.model.load_state_dict(loaded.model.state_dict())
    except (OSError, ValueError) as error:
        kind = type(plain(luab.model)).__name__
        raise SourceError(f"{folder} is not a checkpoint of this {kind}: {error}") from error
    load_head(luab, folder)


def load_head(luab: LUABModel, folder: str | Path) -> None:
    """Load the head of a checkpoint's byproduct losses in place.

    Raises:
        SourceError: the checkpoint was trained with other losses, or its head is damaged.
    """
    file = Path(folder, HEAD_FILE)
    if problem := _take_head(luab, file):
        raise SourceError(
            f"{file} holds {problem}: the checkpoint was trained with another --loss. Resume with the same "
            f"one, or start anew from its classifier with --model {folder}."
        )


def load_head_of_model(luab: LUABModel, model: str) -> None:
    """Load the head of a model to evaluate in place, if this loss has one.

    Args:
        luab: The classifier, already loaded, and its losses.
        model: Where the classifier is from: a folder, or a model on the Hub.

    Raises:
        SourceError: the model has no such head, or it cannot be had.
    """
    if not luab.head_state_dict():
        return
    fix = f"evaluate with --loss {ATTENTION if ATTENTION in luab.weights else 'none'}"
    file: Path | None = Path(model, HEAD_FILE)
    if not Path(model).is_dir():
        try:
            file = Path(hf_hub_download(model, HEAD_FILE))
        except RemoteEntryNotFoundError:
            file = None
        except (HTTPError, OSError) as error:
            raise SourceError(
                f"--model {model}: the head of its point loss, {HEAD_FILE}, cannot be had from the Hub: "
                f"{reason(error)} Try again, or {fix}."
            ) from error
    if file is None or not file.is_file():
        problem = f"it has no {HEAD_FILE}"
    elif found := _take_head(luab, file):
        problem = f"its {HEAD_FILE} holds {found}"
    else:
        return
    raise SourceError(
        f"--model {model}: {problem}, and the point loss is that of its own head. Give a model that was "
        f"trained with --loss point or both, or {fix}."
    )


def _take_head(luab: LUABModel, file: Path) -> str:
    """Loads a head in place, or says what its file, which may be missing, holds instead."""
    try:
        head = load_file(file) if file.is_file() else {}
        require_finite(head)
    except (SafetensorError, WrongWeights) as error:
        raise SourceError(f"{file}: {error}. Take another copy.") from error
    expected = luab.head_state_dict()
    if {k: v.shape for k, v in head.items()} == {k: v.shape for k, v in expected.items()}:
        luab.load_state_dict(head, strict=False)
        return ""
    if head.keys() == expected.keys():
        return "weights of other shapes than this run's losses"
    found, needed = (few(sorted(weights)) or "nothing" for weights in (head, expected))
    return f"{found}, but this run's losses need {needed}"


def checkpoint_to_resume(value: str | None, output_dir: str) -> str | None:
    """The checkpoint that `--resume_from_checkpoint` means: a folder, or "true" for the last complete one.

    Every byte is compared with its checksum. With "true", damaged checkpoints are skipped with a message.

    Raises:
        SourceError: there is no such folder, no checkpoint to resume from, or the folder is damaged.
    """
    if value is None or value.lower() == "false":
        return None
    if value.lower() == "true":
        return _last_whole(Path(output_dir), value)
    folder = Path(value)
    if (folder / SUMS).is_file():
        require_undamaged(
            folder,
            f"--resume_from_checkpoint {folder}",
            "Resume from another checkpoint, or with --resume_from_checkpoint True from the last whole one.",
        )
        return value
    if not _has_state(folder):
        raise _nothing_to_resume(value, "no whole checkpoint there")
    say(f"{folder} has no {SUMS}: it is of an earlier version, and damage cannot be detected.")
    return value


def _last_whole(output_dir: Path, value: str) -> str:
    """The undamaged checkpoint with the most steps; reports the damaged ones that it skips."""
    folders = output_dir.glob(f"{PREFIX_CHECKPOINT_DIR}-*")
    steps = {folder.name.rpartition("-")[2]: folder for folder in folders}
    unproven, damaged = None, None
    for step in sorted(filter(str.isdecimal, steps), key=int, reverse=True):
        folder = steps[step]
        if not (folder / SUMS).is_file():
            unproven = unproven or (folder if _has_state(folder) else None)
            continue
        problems = damage(folder)
        if not problems and TRAINER_STATE_NAME in listed_files(folder):
            return str(folder)
        damaged = f"{folder}: {(problems or ['its run cannot be resumed'])[0]}"
        say(f"{damaged}. It is skipped.")
    if damaged is not None:
        raise _nothing_to_resume(value, f"no whole checkpoint in {output_dir} ({damaged})")
    if unproven is not None:
        why = f"{unproven} has no {SUMS}, so it is incomplete, or of an earlier version"
        raise _nothing_to_resume(value, f"no whole checkpoint in {output_dir}: {why}")
    raise _nothing_to_resume(value, f"no checkpoint in {output_dir}")


def _nothing_to_resume(value: str, why: str) -> SourceError:
    return SourceError(
        f"--resume_from_checkpoint {value}: there is {why}. Give a checkpoint-<step> folder, or leave it out "
        "to start a new run."
    )


def _has_state(checkpoint: Path) -> bool:
    """The trainer writes its state after all other files."""
    try:
        json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
