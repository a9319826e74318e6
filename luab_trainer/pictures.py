"""Pictures of where the model looks, logged at each evaluation by the tracker of `--report_to`.

A few fixed evaluation images, one a row: the crop with its target lit, and beside it the model's attention
for the class of the target. They are drawn as `luab show` and the report's galleries draw them.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import TensorBoardCallback, TrackioCallback, WandbCallback

from luab_attention.density import map_nearness, nearness
from luab_attention.targets import NO_TARGET
from luab_eval.pointing import attention_maps
from luab_eval.report.galleries import lit_by, overlay, thumbnail
from luab_trainer.averaging import WeightAverage
from luab_trainer.data.collator import collate
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.losses.attention import AttentionLoss, defaults
from luab_trainer.model import ATTENTION, LUABModel
from luab_trainer.said import say
from luab_vision.model_attention import spatial_attention
from luab_vision.readout import NoReadout
from luab_vision.transforms import normalize

NAME = "eval/attention"  # of the picture, beside the metrics
SHOWN = 4  # images
TARGET_GRID = (56, 56)  # cells of a target's light
TRACKERS = (TensorBoardCallback, WandbCallback, TrackioCallback)


class AttentionPictures(TrainerCallback):
    """Logs the picture, if a tracker that takes pictures is in use.

    Args:
        trainer: A `LUABTrainer`.
        average: Its average of the weights, which is what is evaluated.
    """

    def __init__(self, trainer: Any, average: WeightAverage):
        self.trainer, self.average = trainer, average
        self._unable = False

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer, in all processes."""
        trackers = [
            callback for callback in self.trainer.callback_handler.callbacks if isinstance(callback, TRACKERS)
        ]
        if not trackers or not state.is_world_process_zero or self._unable:
            return
        luab: LUABModel = self.trainer.luab
        if (reason := self._why_not(luab)) is not None:
            self._unable = True
            say(f"no picture of the attention is logged: {reason}.")
            return
        with self.average.in_use():
            picture = attention_picture(luab, some_samples(self.trainer.eval_dataset))
        for tracker in trackers:
            log_picture(tracker, picture, state.global_step)

    def _why_not(self, luab: LUABModel) -> str | None:
        if self.trainer.is_fsdp_enabled or self.trainer.is_deepspeed_enabled:
            return "the model's weights are in parts"
        if not isinstance(self.trainer.eval_dataset, ViewDataset):
            return f"the evaluation dataset is a {type(self.trainer.eval_dataset).__name__}, no ViewDataset"
        if luab.mean is None or luab.std is None:
            return "the trainer has no processing_class"
        try:
            spatial_attention(luab.model)
        except NoReadout as error:
            return f"it is not known where {type(luab.model).__name__} looks: {error.why}"
        return None


def some_samples(dataset: ViewDataset) -> list[dict[str, Any]]:
    """Up to `SHOWN` samples, spread over the rows: the same ones each time."""
    count = min(SHOWN, len(dataset))
    return dataset.__getitems__([round(at) for at in np.linspace(0, len(dataset) - 1, count)])


@torch.no_grad()
def attention_picture(luab: LUABModel, samples: Sequence[dict[str, Any]]) -> Image.Image:
    """One row for each sample: its crop with the target lit, and the model's attention.

    A crop without a target is shown as it is. The model must know its normalization, and where it looks.
    """
    batch = collate(samples)
    crops = batch["pixel_values"]  # bytes [B, H, W, 3]
    device = next(luab.parameters()).device
    assert luab.mean is not None and luab.std is not None
    values = normalize(crops.to(device), luab.mean, luab.std, luab.bgr)
    training = luab.training
    luab.eval()
    maps = attention_maps(luab.model, values, shown_classes(batch).to(device)[:, None])[:, 0]
    luab.train(training)
    loss = luab.attention if ATTENTION in luab.weights else None
    radius = (loss.radius if isinstance(loss, AttentionLoss) else None) or usual_radius(luab.model)
    rows = []
    for number, attention in enumerate(maps.float().cpu().numpy()):
        crop = thumbnail(Image.fromarray(crops[number].numpy()))
        light = _light(batch, number, radius)
        left = crop if light is None else lit_by(crop, light)
        rows.append(np.concatenate([np.asarray(left), np.asarray(overlay(crop, attention))], axis=1))
    return Image.fromarray(np.concatenate(rows))


def shown_classes(batch: dict[str, Tensor]) -> Tensor:
    """[B] the class of each image's first target; without a target its label, or its first one."""
    labels = batch["labels"] if batch["labels"].dim() == 1 else batch["labels"].argmax(dim=1)
    if "target_labels" not in batch:
        return labels
    first = batch["target_labels"][:, 0]
    return torch.where(first == NO_TARGET, labels, first)


def usual_radius(model: torch.nn.Module) -> float:
    """The radius of a target by default: that of the model's family."""
    try:
        kind = spatial_attention(model).kind
    except NoReadout:
        kind = "cls"
    return defaults(kind, "hinge").radius


def target_light(targets: Sequence[tuple[Tensor, Tensor]], radius: float) -> np.ndarray | None:
    """[h, w] from 0 (dark) to 1: where targets (points [P, 2], weights [P]) allow the model to look.

    None: nowhere, because no target is in the crop.
    """
    light = np.zeros(TARGET_GRID)
    for points, weights in targets:
        if weights.any():
            light = np.maximum(light, nearness(points, weights, TARGET_GRID, radius).numpy())
    return light if light.any() else None


def log_picture(tracker: TrainerCallback, picture: Image.Image, step: int) -> None:
    """Log a picture by a tracker of transformers, with its own type for pictures."""
    if isinstance(tracker, TensorBoardCallback):
        tracker.tb_writer.add_image(NAME, np.asarray(picture), step, dataformats="HWC")
        return
    # The tracker has imported it; `--report_to` says how to install it.
    package: Any = import_module("wandb" if isinstance(tracker, WandbCallback) else "trackio")
    package.log({NAME: package.Image(np.asarray(picture)), "train/global_step": step})


def _light(batch: dict[str, Tensor], number: int, radius: float) -> np.ndarray | None:
    """`target_light` of an image of the batch."""
    if "target_maps" in batch:
        light: np.ndarray = map_nearness(batch["target_maps"][number], TARGET_GRID).amax(dim=0).numpy()
        return light if light.any() else None
    if "target_points" not in batch:
        return None
    targets = zip(batch["target_points"][number], batch["target_weights"][number], strict=True)
    return target_light(list(targets), radius)
