"""The classifier that a run starts from, and its image processor."""

from pathlib import Path

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    BaseImageProcessor,
    PreTrainedModel,
)

from luab_data.errors import SourceError
from luab_trainer.model import MULTI_LABEL
from luab_trainer.processors import PROCESSOR_FILE, square_processor


def load_classifier(
    model: str | None,
    from_config: str | None,
    names: list[str],
    multi_label: bool = False,
    image_size: int | None = None,
) -> tuple[PreTrainedModel, BaseImageProcessor]:
    """A pretrained classifier with a head for these classes, or one from scratch; and its image processor.

    Raises:
        SourceError: a checkpoint or configuration that cannot be loaded.
    """
    if from_config is not None and from_config.endswith(".json") and not Path(from_config).is_file():
        raise SourceError(f"--from_config {from_config}: there is no such file.")
    settings = {
        "num_labels": len(names),
        "id2label": dict(enumerate(names)),
        "label2id": {name: i for i, name in enumerate(names)},
        "problem_type": MULTI_LABEL if multi_label else "single_label_classification",
    }
    try:
        if model is not None:
            classifier = AutoModelForImageClassification.from_pretrained(
                model,
                ignore_mismatched_sizes=True,
                use_safetensors=True,  # no pickle from anybody
                trust_remote_code=False,
                **settings,
            )
            return classifier, AutoImageProcessor.from_pretrained(model)
        config = AutoConfig.from_pretrained(from_config, **settings)
        config.architectures = config.architectures or []  # None fails for a type with several heads
        config.name_or_path = ""
        size = image_size or getattr(config, "image_size", 224)
        config.image_size = size
        folder = Path(from_config) if Path(from_config).is_dir() else Path(from_config).parent
        if (folder / PROCESSOR_FILE).is_file() and image_size is None:
            processor = AutoImageProcessor.from_pretrained(folder)
        else:
            processor = square_processor(size)
        return AutoModelForImageClassification.from_config(config), processor
    except (OSError, ValueError) as error:
        option = f"--model {model}" if model is not None else f"--from_config {from_config}"
        raise SourceError(f"{option}: {error}") from error
