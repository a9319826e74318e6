"""The parts of a classifier from its input to its logits, which are frozen or trained more slowly by depth.

    stem (patch embeddings, position encodings) -> stage 1 ... stage S -> the rest (last norm, pooler, head)

They are found in the module structure, not by model names. The stack is the outermost list of modules in the
backbone with the most parameters: the layers of a ViT, or the stages of a ConvNeXt, ResNet or Swin. What is
registered before it is the stem, what comes after it is the rest. A stage may hold a list of blocks itself.
A ViT's layer holds none: there a stage is a block. timm's models say themselves what belongs together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from luab_vision.adapters.timm_models import timm_heads, timm_model
from luab_vision.hooks import output_linear, plain

# Share of the stack's parameters that other lists may hold; with more, the stack is not one list.
_OTHERS = 0.2


@dataclass(frozen=True)
class Depth:
    """The parameters of a classifier by depth.

    Attributes:
        name: The stack's name in the model, such as `vit.layers`.
        stages: Parameters of the stem, of each of the S stages, and of the rest: S + 2 lists.
        blocks: The same of the blocks, the finest parts: as many lists as blocks, and 2.
        unit: What the elements of the stack are: "stages" if they hold blocks, else "blocks".
    """

    name: str
    stages: list[list[nn.Parameter]]
    blocks: list[list[nn.Parameter]]
    unit: str


def depth_of(model: nn.Module) -> Depth:
    """The parameters of a transformers classifier by depth; of a `PeftModel`, with the adapter's.

    Raises:
        ValueError: the layers of the backbone are not in one list.
    """
    classifier = plain(model)
    if (own := timm_model(classifier)) is not None:
        return _of_timm(own)
    backbone = classifier.base_model
    candidates = list(_outermost_lists(backbone))
    size = {name: _count(found) for name, found in candidates}
    stack_name = max(size, key=size.__getitem__, default="")
    stack = dict(candidates).get(stack_name)
    siblings: dict[str, nn.Module] = {}
    if stack is not None:
        siblings = {name: each for name, each in candidates if _len(each) == _len(stack)}
    others = sum(number for name, number in size.items() if name not in siblings)
    if stack is None or not size[stack_name] or others > _OTHERS * size[stack_name]:
        raise ValueError(
            f"the blocks of {type(classifier).__name__} are not in one list of modules, so their order is "
            "not known."
        )
    stages: dict[int, int] = {}  # id of a parameter -> number of its stage
    blocks: dict[int, int] = {}
    # Lists of the same length belong together: PoolFormer has one of embeddings beside the one of stages.
    parts = list(zip(*(list(each.children()) for each in siblings.values()), strict=True))
    last, nested = 0, False
    for number, modules in enumerate(parts, 1):
        first, inner = last + 1, _inner_list(modules)
        nested = nested or inner is not None
        last = first if inner is None else _number_blocks(modules, inner, last, blocks)
        for module in modules:
            for parameter in module.parameters():
                stages[id(parameter)] = number
                blocks.setdefault(id(parameter), first)
    outside = _before_and_after(classifier, stages)
    return Depth(
        f"{classifier.base_model_prefix}.{stack_name}" if backbone is not classifier else stack_name,
        _lists(classifier, stages, outside, len(parts)),
        _lists(classifier, blocks, outside, last),
        "stages" if nested else "blocks",
    )


def _of_timm(own: Any) -> Depth:
    """The same of timm's own model. What it adds to the last block, such as the last norm, stays there.

    Raises:
        ValueError: it does not say which parameters belong together, as MetaFormer and PiT.
    """
    from timm.models import group_parameters  # it made the model: it is there

    parameters = dict(own.named_parameters())

    def parts_of(coarse: bool) -> list[list[nn.Parameter]]:
        try:
            matcher = own.group_matcher(coarse=coarse)
        except (AttributeError, AssertionError, NotImplementedError) as error:
            raise ValueError(
                f"timm's {type(own).__name__} does not say which of its parameters belong together, so the "
                "order of its blocks is not known."
            ) from error
        numbers = group_parameters(own, matcher, reverse=True)
        parts: list[list[nn.Parameter]] = [[] for _ in range(max(numbers.values()) + 1)]
        for name, parameter in parameters.items():
            parts[numbers[name]].append(parameter)
        return parts

    stages, blocks = parts_of(coarse=True), parts_of(coarse=False)
    unit = "stages" if len(stages) < len(blocks) else "blocks"
    return Depth(f"timm's {type(own).__name__}", stages, blocks, unit)


def head_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of a classifier that are not of its backbone; with a `PeftModel`, of both heads.

    Raises:
        ValueError: the classifier has no backbone of its own, and does not end in a Linear.
    """
    classifier = plain(model)
    if (own := timm_model(classifier)) is not None:
        output_linear(model)  # raises, if it has none
        return [parameter for head in timm_heads(own) for parameter in head.parameters()]
    backbone = {id(parameter) for parameter in classifier.base_model.parameters()}
    head = [parameter for parameter in classifier.parameters() if id(parameter) not in backbone]
    return head or list(output_linear(classifier).parameters())


def looking_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that decide where a classifier looks: those before the last norm and the head.

    If the layers are not in one list, those that are not of the head.
    """
    try:
        return [parameter for part in depth_of(model).stages[:-1] for parameter in part]
    except ValueError:
        head = {id(parameter) for parameter in head_parameters(model)}
        return [parameter for parameter in plain(model).parameters() if id(parameter) not in head]


def _outermost_lists(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        path = f"{prefix}{name}"
        if isinstance(child, nn.ModuleList | nn.Sequential):
            yield path, child
        else:
            yield from _outermost_lists(child, f"{path}.")


def _inner_list(modules: tuple[nn.Module, ...]) -> nn.Module | None:
    """The list of the blocks of a stage; None if the stage is one block."""
    lists = [each for module in modules for _, each in _outermost_lists(module)]
    lists += [module for module in modules if isinstance(module, nn.ModuleList | nn.Sequential)]
    inner = max(lists, key=_count, default=None)
    return inner if inner is not None and 2 * _count(inner) > sum(map(_count, modules)) else None


def _number_blocks(
    modules: tuple[nn.Module, ...], inner: nn.Module, last: int, blocks: dict[int, int]
) -> int:
    """Numbers a stage's blocks from `last` + 1 on; returns the number of its last one."""
    children = list(inner.children())
    seen = {id(parameter) for parameter in inner.parameters()}
    after = False
    for module in modules:  # what the stage registers after its blocks, such as Swin's merging of patches
        for parameter in module.parameters():
            after = after or id(parameter) in seen
            blocks[id(parameter)] = last + (len(children) if after else 1)
    for number, child in enumerate(children, last + 1):
        for parameter in child.parameters():
            blocks[id(parameter)] = number
    return last + len(children)


def _before_and_after(classifier: nn.Module, inside: dict[int, int]) -> dict[int, bool]:
    """Whether each parameter outside the stack is registered after it."""
    after, found = False, {}
    for parameter in classifier.parameters():
        if id(parameter) in inside:
            after = True
        else:
            found[id(parameter)] = after
    return found


def _lists(
    classifier: nn.Module, inside: dict[int, int], outside: dict[int, bool], count: int
) -> list[list[nn.Parameter]]:
    parts: list[list[nn.Parameter]] = [[] for _ in range(count + 2)]
    for parameter in classifier.parameters():
        number = inside.get(id(parameter))
        if number is None:
            number = count + 1 if outside[id(parameter)] else 0
        parts[number].append(parameter)
    return parts


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _len(module: nn.Module) -> int:
    return len(list(module.children()))
