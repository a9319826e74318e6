"""LoRA (Hu et al., ICLR 2022): small matrices beside the frozen weights are trained, and the head in full.

PEFT makes, merges and stores them. A checkpoint has both forms: the merged model, which loads plain, and the
adapter alone in the folder `adapter`, from which a run resumes.
"""

import copy
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.func import functional_call
from transformers import PreTrainedModel

from luab_data.console.missing import require_extra
from luab_data.console.names import few
from luab_trainer.config import LUABConfig
from luab_trainer.depth import depth_of, head_parameters
from luab_vision.adapters.timm_models import timm_heads, timm_model
from luab_vision.hooks import output_linear, plain
from luab_vision.tracing import Wanted, traced

ADAPTER_FOLDER = "adapter"  # in a checkpoint
ADAPTER_FILE = "adapter_model.safetensors"  # PEFT's
ADAPTER_CONFIG = "adapter_config.json"  # PEFT's
ADAPTER_FILES = (f"{ADAPTER_FOLDER}/{ADAPTER_CONFIG}", f"{ADAPTER_FOLDER}/{ADAPTER_FILE}")
_OF_CONVOLUTIONS = ("stride", "kernel_size", "dilation", "padding")
_OF_LORA = ".lora_"  # in the names of the matrices


def is_adapted(model: nn.Module) -> bool:
    """Whether a model is a `PeftModel`."""
    peft = sys.modules.get("peft")  # it made the model: it is there
    return peft is not None and isinstance(model, peft.PeftModel)


def adapted(model: PreTrainedModel, rank: int, args: LUABConfig) -> Any:
    """A `PeftModel` of the classifier, as `args` say.

    Raises:
        SourceError: PEFT is not installed.
        ValueError: there are no such modules, none of them can be adapted, or the rank is above all theirs.
    """
    require_extra("peft", f"--lora_r {rank}")
    from peft import LoraConfig, get_peft_model

    try:
        output_linear(model)
    except ValueError as error:
        raise ValueError(f"--lora_r {rank}: {error} Take another model, or train without LoRA.") from error
    head, targets = _head_modules(model), _targets(model, args.lora_targets)
    _require_merging({name: model.get_submodule(name) for name in targets})
    most = max(min(weight.shape[0], weight[0].numel()) for weight in _weights_of(model, targets))
    if rank > most:
        raise ValueError(
            f"--lora_r {rank}: no weight to adapt has a rank above {most}; more only adds parameters. "
            f"Give {most} or less, such as {min(8, most)}."
        )
    config = LoraConfig(
        r=rank,
        lora_alpha=args.lora_alpha or 2 * rank,
        lora_dropout=args.lora_dropout,
        target_modules=targets,
        modules_to_save=head,
    )
    wrapped = get_peft_model(model, config)
    inside = (name for name, _ in plain(wrapped).named_modules() if name.endswith(".modules_to_save"))
    twice = [name for each in inside if (name := each.rpartition(".")[0]) not in head]
    if twice:
        raise ValueError(
            f"--lora_r {rank}: PEFT takes {few(twice)} for the head of {type(model).__name__} "
            f"({', '.join(head)}), because their names end alike; leave it out, or take another model."
        )
    return wrapped


def check_adapter(model: Any) -> None:
    """Checks that an adapter can be trained with our losses, and merged; completes its convolutions.

    Args:
        model: A `PeftModel`.

    Raises:
        ValueError: it cannot.
    """
    from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer

    if not isinstance(model.base_model, BaseTuner) or len(model.peft_config) != 1:
        raise ValueError(
            f"the model is a {type(model).__name__} with {few(list(model.peft_config))}: one adapter that "
            "merges into the weights is needed, such as LoRA."
        )
    linears = [name for name, each in plain(model).named_modules() if isinstance(each, nn.Linear)]
    timm = timm_model(plain(model))
    heads = (
        [] if timm is None else [f".{name}" for head in timm_heads(timm) for name, _ in head.named_modules()]
    )
    if any(_OF_LORA in name for name in [*linears[-1:], *heads]):
        raise ValueError(
            "the adapter is on the head: a new head is trained in full. Leave it out of target_modules, and "
            "give modules_to_save=['classifier']."
        )
    named = plain(model).named_modules()
    layers = {name: each for name, each in named if isinstance(each, BaseTunerLayer)}
    bases = {name: each.get_base_layer() for name, each in layers.items()}
    bases = {name: each for name, each in bases.items() if isinstance(each, nn.Linear | nn.Conv2d)}
    _require_merging(bases)
    for name, base in bases.items():
        if isinstance(base, nn.Conv2d):  # TensorFlow's padding (MobileNet) asks a convolution for its stride
            for attribute in _OF_CONVOLUTIONS:
                setattr(layers[name], attribute, getattr(base, attribute))
    try:
        merged(model)
    except Exception as error:  # such as DLA's, whose blocks have a name that PEFT keeps for itself
        raise ValueError(
            f"PEFT cannot merge its adapter into {type(plain(model)).__name__} ({error}), and a checkpoint "
            "is the merged model. Take another model, or train without LoRA."
        ) from error
    ran = _ran(plain(model))
    if idle := [name for name in bases if f"{name}.base_layer" not in ran]:
        raise ValueError(
            f"the adapter on {few(idle)} would learn nothing: {type(plain(model)).__name__} reads these "
            "weights without running their modules. Leave them out of --lora_targets (target_modules in "
            "Python)."
        )


def merged(model: Any) -> PreTrainedModel:
    """The classifier with its adapter in its weights: a copy, so that training goes on exactly."""
    whole: PreTrainedModel = copy.deepcopy(model).merge_and_unload()
    return whole


def save_adapter(model: Any, folder: Path, base: str) -> None:
    """Writes the adapter and its configuration, as PEFT loads them.

    Args:
        model: A `PeftModel`.
        folder: Where to.
        base: Name of the base model, without this machine's folders.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().contiguous() for name, value in _weights(model).items()}
    save_file(weights, folder / ADAPTER_FILE, metadata={"format": "pt"})
    config = copy.copy(model.peft_config[model.active_adapter])
    config.base_model_name_or_path, config.inference_mode = base, True
    for name in ("target_modules", "modules_to_save"):
        if isinstance(names := getattr(config, name), set | list):
            setattr(config, name, sorted(names))
    config.save_pretrained(str(folder))


def load_adapter(model: Any, checkpoint: Path) -> None:
    """Loads the adapter of a checkpoint, which an earlier version wrote without a folder of its own.

    Raises:
        OSError: there is none.
        ValueError: it is another adapter.
    """
    from peft import set_peft_model_state_dict

    file = checkpoint / ADAPTER_FOLDER / ADAPTER_FILE
    weights = load_file(file if file.is_file() else checkpoint / ADAPTER_FILE)
    expected = _weights(model)
    if {name: value.shape for name, value in weights.items()} != {k: v.shape for k, v in expected.items()}:
        differing = sorted(weights.keys() ^ expected.keys()) or sorted(expected)
        raise ValueError(f"its {ADAPTER_FILE} is of another adapter, which differs in {few(differing)}")
    set_peft_model_state_dict(model, weights, adapter_name=model.active_adapter)


def adapter_text(model: Any) -> str:
    """The adapter in words: "LoRA, r 8, alpha 16, on 12 modules (fc1, fc2, q_proj)"."""
    config = model.peft_config[model.active_adapter]
    matrices = [name for name, _ in model.named_modules() if name.endswith(f"{_OF_LORA}A")]
    kinds = sorted({name.removesuffix(f"{_OF_LORA}A").rpartition(".")[2] for name in matrices})
    if not matrices:
        return str(config.peft_type.value)
    dropout = f", dropout {config.lora_dropout:g}" if config.lora_dropout else ""
    whole = f"; {few(sorted(config.modules_to_save))} in full" if config.modules_to_save else ""
    return (
        f"LoRA, r {config.r}, alpha {config.lora_alpha:g}{dropout}, on {len(matrices)} modules "
        f"({few(kinds, 10)}){whole}"
    )


def merged_size(model: nn.Module) -> int:
    """The number of parameters of a classifier, without those of an adapter."""
    added = (_OF_LORA, ".original_module.")
    named = model.named_parameters()
    return sum(value.numel() for name, value in named if not any(part in name for part in added))


def frozen_fingerprint(model: nn.Module) -> str:
    """A hash of the frozen weights of a `PeftModel`, which no checkpoint of its adapter holds."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in model.named_parameters():
        if not value.requires_grad and ".original_module." not in name:
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _weights(model: Any) -> dict[str, torch.Tensor]:
    from peft import get_peft_model_state_dict

    # Otherwise PEFT asks the Hub whether a text model's vocabulary has grown.
    weights: dict[str, torch.Tensor] = get_peft_model_state_dict(
        model, adapter_name=model.active_adapter, save_embedding_layers=False
    )
    return weights


def _head_modules(model: PreTrainedModel) -> list[str]:
    """The names of the modules outside the backbone that have parameters.

    Raises:
        ValueError: the classifier has no backbone of its own, and does not end in a Linear.
    """
    own = timm_model(model)
    if own is not None:
        heads = {id(head) for head in timm_heads(own)}
        return [name for name, each in model.named_modules() if id(each) in heads]
    backbone = model.base_model
    if backbone is model:  # such as CLIP and HGNetV2
        last = output_linear(model)
        return [name for name, each in model.named_modules() if each is last]
    ends = {name.rpartition(".")[2] for name, _ in backbone.named_modules()}
    # PEFT compares the ends of names: a norm before the head stays as it is if blocks have one of that name.
    names = [
        name
        for name, child in model.named_children()
        if child is not backbone and next(child.parameters(), None) is not None
    ]
    return [name for name in names if not any(end.endswith(name) for end in ends)]


def _targets(model: PreTrainedModel, asked: list[str] | None) -> list[str]:
    """The full names of the modules to adapt: of the blocks every Linear, or if there is none convolution."""
    backbone = model.base_model
    prefix = "" if backbone is model else f"{model.base_model_prefix}."
    head = {id(parameter) for parameter in head_parameters(model)}
    known = {
        name: each
        for name, each in backbone.named_modules()
        if _is_plain(each) and id(each.weight) not in head
    }
    if asked is None:
        try:
            depth = depth_of(model)
        except ValueError as error:
            ends = sorted({name.rpartition(".")[2] for name in known})
            raise ValueError(
                f"LoRA: {error} Name the modules to adapt with --lora_targets: {few(ends, 12)}."
            ) from error
        blocks = {id(parameter) for part in depth.blocks[1:-1] for parameter in part}
        inside = {name: each for name, each in known.items() if id(each.weight) in blocks}
        linear = [name for name, each in inside.items() if isinstance(each, nn.Linear)]
        # Not those without a name of their own, such as SwinV2's for the bias of positions.
        linear = [name for name in linear if not name.rpartition(".")[2].isdigit()] or linear
        ran = _ran(
            model
        )  # timm's BEiT reads a weight without running its module, which an adapter cannot reach
        linear = [name for name in linear if f"{prefix}{name}" in ran]
        if not inside:
            raise ValueError(
                f"LoRA finds no Linear and no convolution in the blocks of {type(model).__name__}."
            )
        return [f"{prefix}{name}" for name in linear or inside]
    found: dict[str, None] = {}
    for target in asked:
        names = [name for name in known if f".{prefix}{name}".endswith(f".{target}")]
        if not names:
            ends = sorted({name.rpartition(".")[2] for name in known})
            raise ValueError(
                f"--lora_targets {target}: no Linear or convolution in the backbone has a name that ends so; "
                f"there are {few(ends, 12)}."
            )
        found |= dict.fromkeys(names)
    return [f"{prefix}{name}" for name in found]


def _ran(model: nn.Module) -> set[str]:
    """The names of the modules without parts that a forward pass runs."""
    return {name for name, _ in traced(model, Wanted(frozenset())).last}


def _require_merging(modules: dict[str, nn.Module]) -> None:
    """Raises ValueError if there are modules into which no adapter merges."""
    if wrong := [name for name, each in modules.items() if not (_is_plain(each) and merges(each))]:
        kinds = sorted({type(modules[name]).__name__ for name in wrong})
        raise ValueError(
            f"LoRA does not merge into {few(wrong)} ({', '.join(kinds)}): what is added to such a weight is "
            "not what is added to the output. Give others as --lora_targets (target_modules in Python), or "
            "train without LoRA."
        )


def _weights_of(model: PreTrainedModel, names: list[str]) -> list[torch.Tensor]:
    return [model.get_parameter(f"{name}.weight") for name in names]


def _is_plain(module: nn.Module) -> bool:
    """Whether PEFT's matrices fit a module: a Linear, or a convolution without groups and dilation."""
    if isinstance(module, nn.Conv2d):
        return module.groups == 1 and set(module.dilation) == {1} and module.padding_mode == "zeros"
    return isinstance(module, nn.Linear)


def merges(module: Any) -> bool:
    """Whether a Linear or convolution is linear in its weight, as merging takes for granted.

    One that standardizes its weight (BiT, NFNet) is not: there a sum of weights does not give a sum of
    outputs. The type does not tell (some only pad in another way), so it is tried on noise.
    """
    names = [name for name, _ in module.named_parameters()]
    if "weight" not in names or type(module) in (nn.Linear, nn.Conv2d):
        return "weight" in names  # else it is computed from others, by weight or spectral normalization
    generator = torch.Generator().manual_seed(0)

    def noise(shape: Sequence[int]) -> torch.Tensor:
        return torch.randn(shape, generator=generator).double()

    # All of it noise: a gain may be 0 at first, and hide what the weight does.
    fixed = {name: noise(value.shape) for name, value in module.named_parameters()}
    shape = [1, module.weight.shape[1]]
    if isinstance(module, nn.Conv2d):
        shape += [kernel + stride for kernel, stride in zip(module.kernel_size, module.stride, strict=True)]
    first, second, seen = fixed["weight"], noise(module.weight.shape), noise(shape)

    def output(weight: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = functional_call(module, {**fixed, "weight": weight}, (seen,))
        return found

    try:
        with torch.no_grad():
            whole = output(first + second)
            parts = output(first) + output(second) - output(torch.zeros_like(first))
    except Exception:  # made for another input; each raises its own kind of error
        return False
    return bool((whole - parts).abs().max() <= 1e-6 * whole.abs().max())
