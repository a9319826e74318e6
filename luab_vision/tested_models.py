"""The models whose attention is tested: the table of `luab models` and docs/models.md.

No code chooses by it. `luab_vision.readout` looks at how a model is built, so others work too.
"""

from typing import NamedTuple

TRANSFORMERS, TIMM = "transformers", "timm"
CLASS_TOKEN = "attention of the class token"
TWO_TOKENS = "attention of the class and distillation tokens, mean"
POOLING = "attention of the pooling's query"
MAP = "class-activation map"
PATCH_MAP = "class-activation map of the patch tokens"
KINDS = {CLASS_TOKEN: "cls", TWO_TOKENS: "cls", POOLING: "cls", MAP: "map", PATCH_MAP: "map"}


class Tested(NamedTuple):
    """Models of one way to look.

    Attributes:
        library: transformers, where a model is named by `config.model_type`, or timm, by `architecture`.
        where: One of `KINDS`.
        names: Each is built small in a test.
    """

    library: str
    where: str
    names: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The kind of attention, "cls" or "map", which decides the defaults of the loss."""
        return KINDS[self.where]


TESTED = (
    Tested(TRANSFORMERS, CLASS_TOKEN, ("vit", "deit", "dinov2", "dinov2_with_registers", "beit", "vit_msn")),
    Tested(TRANSFORMERS, TWO_TOKENS, ("deit with teacher",)),
    Tested(
        TRANSFORMERS,
        MAP,
        (
            *("convnext", "convnextv2", "mobilenet_v1", "mobilenet_v2", "efficientnet", "regnet", "resnet"),
            *("bit", "swin", "swinv2", "focalnet", "poolformer", "segformer", "mobilevit", "mobilevitv2"),
            *("pvt_v2", "hiera", "hgnet_v2"),
        ),
    ),
    Tested(TRANSFORMERS, PATCH_MAP, ("siglip", "clip", "ijepa", "data2vec-vision")),
    Tested(
        TIMM,
        CLASS_TOKEN,
        (
            *("vit_tiny_patch16_224", "vit_small_patch14_reg4_dinov2", "deit3_small_patch16_224"),
            *("vit_base_patch16_clip_224", "vit_base_patch16_rope_224", "cait_xxs24_224"),
            *("xcit_nano_12_p16_224", "vit_tiny_r_s16_p8_224"),
        ),
    ),
    Tested(TIMM, TWO_TOKENS, ("deit_tiny_distilled_patch16_224",)),
    Tested(TIMM, POOLING, ("vit_base_patch16_siglip_224", "vit_pe_core_tiny_patch16_384")),
    Tested(
        TIMM,
        PATCH_MAP,
        (
            *("vit_base_patch16_gap_224", "vit_base_patch16_siglip_gap_224", "vit_small_patch16_dinov3"),
            *("eva02_tiny_patch14_224", "beit_base_patch16_224", "vit_relpos_small_patch16_224"),
            *("mixer_s32_224",),
        ),
    ),
    Tested(
        TIMM,
        MAP,
        (
            *("convnext_atto", "convnextv2_atto", "test_efficientnet", "mobilenetv1_100", "mobilenetv2_050"),
            *("regnety_002", "resnet18", "swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256"),
            *("maxvit_rmlp_pico_rw_256", "hiera_tiny_224", "pvt_v2_b0", "davit_tiny"),
            *("focalnet_tiny_srf", "poolformer_s12", "mobilevit_xxs", "tiny_vit_5m_224", "shvit_s1"),
            *("densenet121", "resnetv2_50"),
        ),
    ),
)


def names_of(library: str, kind: str) -> tuple[str, ...]:
    """The names of a library's models whose attention is of a kind, "cls" or "map"."""
    return tuple(name for row in TESTED if (row.library, row.kind) == (library, kind) for name in row.names)


def table() -> list[list[str]]:
    """The rows of the table: library, models, where they look."""
    return [[row.library, ", ".join(row.names), row.where] for row in TESTED]
