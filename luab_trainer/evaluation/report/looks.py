"""Galleries of a benchmark: the models are asked again about a few images, for their attention this time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel

from imagenet_ab.classes import imagenet_names
from luab_trainer.evaluation.benchmark import Benchmark, ImageSet, Predictions
from luab_trainer.evaluation.models import Classifier
from luab_trainer.evaluation.pointing import attention_maps
from luab_trainer.evaluation.predict import PassSettings, PixelValues, predict
from luab_trainer.evaluation.report.galleries import (
    MAX_BYTES,
    Exhibit,
    Gallery,
    Look,
    choose,
    data_uri,
    overlay,
    thumbnail,
    within_budget,
)
from luab_trainer.evaluation.report.table import full_title
from luab_trainer.transforms import ImageSettings


def galleries(
    benchmark: Benchmark,
    root: Path,
    classifiers: Sequence[Classifier],
    cache: Path,
    settings: PassSettings,
    each: int = 4,
    budget: int = MAX_BYTES,
) -> list[Gallery]:
    """Images of a benchmark on which the models are right or wrong, `each` of every kind.

    Only of benchmarks that are the plain top-1 accuracy on one image set: elsewhere (ReaL, 200 classes, gaps)
    the best class is not what right or wrong is said of. The answers come from `cache`.

    Args:
        budget: Of embedded pictures, in bytes; to be shared between benchmarks.
    """
    image_sets = list(benchmark.image_sets(root))
    if len(image_sets) != 1 or not image_sets[0].keep_logits:
        return []
    (images,) = image_sets
    answers = [predict(classifier, images, cache, settings) for classifier in classifiers]
    if not all(_is_top1(benchmark, own) for own in answers):
        return []
    right = np.stack([own.right() for own in answers])
    found = []
    for choice in choose(right, [classifier.name for classifier in classifiers], each):
        exhibits = _exhibits(images, classifiers, answers, choice.chosen, settings.device)
        kept, budget = within_budget(exhibits, budget)
        if kept:
            found.append(Gallery(f"{full_title(benchmark)}: {choice.title}", choice.total, kept))
    return found


def _is_top1(benchmark: Benchmark, answers: Predictions) -> bool:
    scores = benchmark.score([answers])
    return np.array_equal(scores.ids, answers.ids) and np.array_equal(scores.per_image, answers.right())


def _exhibits(
    images: ImageSet,
    classifiers: Sequence[Classifier],
    answers: Sequence[Predictions],
    chosen: np.ndarray,
    device: str | torch.device,
) -> list[Exhibit]:
    looks = [
        _looks(images, classifier, own, chosen, device)
        for classifier, own in zip(classifiers, answers, strict=True)
    ]
    plain = PixelValues(images, classifiers[0].settings)
    exhibits = []
    for position, index in enumerate(chosen.tolist()):
        picture = thumbnail(_picture(plain[index], classifiers[0].settings))
        exhibits.append(
            Exhibit(
                file=answers[0].ids[index].decode(),
                true=_class_name(answers[0].classes[answers[0].targets[index]]),
                image=data_uri(picture),
                size=picture.size,
                looks=tuple(own[position] for own in looks),
            )
        )
    return exhibits


def _looks(
    images: ImageSet,
    classifier: Classifier,
    answers: Predictions,
    chosen: np.ndarray,
    device: str | torch.device,
) -> list[Look]:
    """One model's look at each chosen image."""
    outputs = classifier.outputs(images.classes)
    best = answers.top[chosen, 0]
    dataset = PixelValues(images, classifier.settings)
    pixel_values = torch.stack([dataset[index] for index in chosen.tolist()])
    classes = torch.tensor([[outputs[index]] for index in best], device=device)
    maps = _attention(classifier, pixel_values.to(device), classes)
    confidence = _softmax(answers.logits[chosen])[np.arange(len(chosen)), best]
    looks = []
    for position, index in enumerate(best.tolist()):
        known = index < len(answers.classes)
        name = _class_name(answers.classes[index]) if known else classifier.labels[outputs[index]]
        image = ""
        if maps is not None:
            picture = _picture(pixel_values[position], classifier.settings)
            image = data_uri(thumbnail(overlay(picture, maps[position])))
        right = index == answers.targets[chosen[position]]
        looks.append(Look(classifier.name, name, float(confidence[position]), bool(right), image))
    return looks


@torch.no_grad()
def _attention(classifier: Classifier, pixel_values: Tensor, classes: Tensor) -> np.ndarray | None:
    """`[B, H, W]`; None for a model that shows no attention (of timm, or of another type)."""
    if not isinstance(classifier.model, PreTrainedModel):
        return None
    try:
        return attention_maps(classifier.model, pixel_values, classes)[:, 0].float().cpu().numpy()
    except ValueError:  # no supported model type: its answers are shown without
        return None


def _picture(pixel_values: Tensor, settings: ImageSettings) -> Image.Image:
    """`[3, H, W]` as the model reads it -> what a person sees of it."""
    std, mean = (torch.tensor(three).view(3, 1, 1) for three in (settings.std, settings.mean))
    values = ((pixel_values * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(values.permute(1, 2, 0).contiguous().numpy())


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _class_name(folder: str) -> str:
    """A wnid's first name; any other class folder's name as it is."""
    return imagenet_names().get(folder, folder).partition(",")[0]
