"""The demonstration's two architectures, small enough to learn from scratch in a minute on one core."""

from pathlib import Path

from transformers import ConvNextConfig, PreTrainedConfig, ViTConfig

INPUT_SIZE = 32  # pixels; both look through a grid of 8 x 8

ARCHITECTURES: dict[str, PreTrainedConfig] = {
    "vit": ViTConfig(
        image_size=INPUT_SIZE,
        patch_size=4,
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=128,
    ),
    # The usual layer_scale_init_value of 1e-6 hardly learns in so few steps.
    "convnext": ConvNextConfig(
        image_size=INPUT_SIZE,
        patch_size=2,
        num_stages=2,
        hidden_sizes=[32, 64],
        depths=[1, 1],
        layer_scale_init_value=1.0,
    ),
}
LEARNING_RATE = {"vit": 2e-3, "convnext": 4e-3}


def save_config(architecture: str, folder: Path) -> Path:
    """Write the architecture's config.json, as `run.py --from_config` reads it, and return its folder."""
    ARCHITECTURES[architecture].save_pretrained(folder / architecture)
    return folder / architecture
