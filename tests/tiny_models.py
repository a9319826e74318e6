"""Tiny random classifiers of every supported family, built from configs: 32x32 images, 5 classes."""

import torch
from transformers import AutoConfig, AutoModelForImageClassification, PreTrainedModel

NUM_LABELS = 5
IMAGE_SIZE = 32

_TRANSFORMER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": IMAGE_SIZE,
    "patch_size": 8,
}
_CONVNET = {"num_stages": 2, "hidden_sizes": [16, 32], "depths": [1, 1]}
_SWIN = {
    "image_size": IMAGE_SIZE,
    "patch_size": 4,
    "embed_dim": 16,
    "depths": [1, 1],
    "num_heads": [2, 2],
    "window_size": 4,
}

CONFIGS = {
    "vit": _TRANSFORMER,
    "deit": _TRANSFORMER,
    "dinov2": {**_TRANSFORMER, "mlp_ratio": 2},
    "dinov2_with_registers": {**_TRANSFORMER, "mlp_ratio": 2, "num_register_tokens": 3},
    "beit": {**_TRANSFORMER, "use_relative_position_bias": True, "use_shared_relative_position_bias": False},
    "vit_msn": _TRANSFORMER,
    "convnext": {**_CONVNET, "layer_scale_init_value": 0.1},
    "convnextv2": _CONVNET,
    "resnet": {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1], "layer_type": "basic"},
    "swin": _SWIN,
    "swinv2": _SWIN,
    # Not supported by the attention loss:
    "mobilevit": {
        "image_size": IMAGE_SIZE,
        "hidden_sizes": [16, 16, 16],
        "neck_hidden_sizes": [8, 8, 8, 8, 8, 8, 16],
    },
    "poolformer": {"hidden_sizes": [8, 8, 8, 16], "depths": [1, 1, 1, 1]},
}


def tiny_model(model_type: str, *, seed: int = 0, **config) -> PreTrainedModel:
    """A classifier with weights drawn from `seed`; `config` overrides the tiny configuration."""
    torch.manual_seed(seed)
    loading = {key: config.pop(key) for key in ("attn_implementation",) if key in config}
    settings = {"architectures": [], "num_labels": NUM_LABELS, **CONFIGS[model_type], **config}
    return AutoModelForImageClassification.from_config(
        AutoConfig.for_model(model_type, **settings), **loading
    )


def images(batch: int = 4, height: int = IMAGE_SIZE, width: int = IMAGE_SIZE, seed: int = 1) -> torch.Tensor:
    """Random pixel values [B, 3, H, W]."""
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))
