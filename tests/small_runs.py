"""Options of run.py for a run of a few steps on a few small images."""

from pathlib import Path
from typing import Any

from clicked import clicked_dataset
from tiny_models import tiny_model


def write_splits(folder: Path, **rows: int) -> Path:
    """A dataset folder with clicks and boxes: as many rows as said of each split."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in rows.items():
        clicked = clicked_dataset(count, seed=count)
        objects = [{"bbox": [[4.0, 8.0, 30.0, 24.0]], "category": [label]} for label in clicked["label"]]
        clicked.add_column("objects", objects).to_parquet(folder / f"{split}.parquet")
    return folder


def write_config(folder: Path, model_type: str = "vit") -> Path:
    """A folder with the config.json of a tiny model."""
    tiny_model(model_type).config.save_pretrained(folder)
    return folder


def options(config: Path, data: Path, out: Path, **more: Any) -> list[str]:
    """The command line of a run from scratch; `more` adds options or replaces them, None leaves one out."""
    values = {
        "from_config": config, "dataset": data, "output_dir": out, "max_steps": 1, "logging_steps": 1,
        "per_device_train_batch_size": 8, "save_strategy": "no", "use_cpu": True, "disable_tqdm": True,
        "learning_rate": 1e-3, "report_to": "none", **more,
    }  # fmt: skip
    return [text for name, value in values.items() if value is not None for text in (f"--{name}", str(value))]
