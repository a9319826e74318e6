"""The pointing game of a training run, on its evaluation rows and in all of its processes."""

from collections import Counter

import datasets
import numpy as np
from accelerate.utils import gather_object
from datasets.utils.logging import get_logger
from torch.distributed.fsdp import FSDPModule
from transformers import PreTrainedModel

from luab_data.constants import OBJECTS
from luab_data.rows.columns import Columns
from luab_eval.pointing import PointingGameEvaluator
from luab_trainer.trainer import LUABTrainer
from luab_vision.model_attention import has_attention
from luab_vision.transforms import ImageSettings

logger = get_logger(__name__)


def plays_pointing_game(trainer: LUABTrainer, rows: datasets.Dataset) -> bool:
    """Whether the rows have boxes, and the model has known attention."""
    return OBJECTS in rows.column_names and has_attention(trainer.luab.model)


def pointing_game(
    trainer: LUABTrainer, rows: datasets.Dataset, settings: ImageSettings, columns: Columns
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """The pointing game's metrics, logged and named `eval_...`, and per class [K].

    Nothing for rows without boxes or a model without known attention.
    """
    if not plays_pointing_game(trainer, rows):
        return {}, {}
    rows = rows.cast_column(columns.image, datasets.Image(decode=False))
    own = rows.shard(trainer.accelerator.num_processes, trainer.accelerator.process_index, contiguous=False)
    game = PointingGameEvaluator(own, settings, columns, trainer.args.per_device_eval_batch_size)
    counts = game.counts(_whole_classifier(trainer))
    counts = trainer.accelerator.reduce(counts, reduction="sum")
    game.boxes.left_out = sum(gather_object([game.boxes.left_out]), Counter())
    game.boxes.turned = next(filter(None, gather_object([game.boxes.turned])), "")
    if game.boxes.left_out and trainer.is_world_process_zero():
        logger.warning(f"The pointing game leaves out {game.boxes.note()}.")
    metrics = {f"eval_{name}": value for name, value in PointingGameEvaluator.metrics(counts).items()}
    trainer.log(dict(metrics))
    return metrics, PointingGameEvaluator.by_class(counts)


def _whole_classifier(trainer: LUABTrainer) -> PreTrainedModel:
    """The classifier, for this process to call as often as it likes. Called by all processes.

    Under FSDP each layer asks all processes for its weights at each forward, and one that has fewer
    batches than the others would leave them waiting: here all weights are gathered first, for good.
    """
    if trainer.is_fsdp_enabled:
        for module in trainer.model.modules():
            if isinstance(module, FSDPModule):
                module.set_reshard_after_forward(False, recurse=False)
                module.unshard()
    return trainer.luab.model
