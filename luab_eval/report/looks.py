"""Galleries of a benchmark: runs the models again on a few images, to get their attention maps."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from luab_eval.benchmark import Benchmark, ImageSet, Predictions, Verdicts
from luab_eval.image_sets.class_maps import first_name
from luab_eval.models import Classifier
from luab_eval.passes import PassSettings
from luab_eval.pixels import PixelValues
from luab_eval.pointing import attention_maps
from luab_eval.predict import predict
from luab_eval.report.galleries import (
    MAX_BYTES,
    Exhibit,
    Gallery,
    Look,
    choose,
    data_uri,
    overlay,
    peak,
    thumbnail,
    with_boxes,
    within_budget,
)
from luab_eval.report.table import full_title
from luab_eval.tasks import UnsuitedModel
from luab_vision.readout import NoReadout
from luab_vision.transforms import to_image


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

    Only for benchmarks with `shows_verdicts`.

    Args:
        benchmark: The benchmark whose images are shown.
        root: The folder of the benchmarks' files.
        classifiers: The models; those that do not support the benchmark are skipped.
        cache: The folder of the models' predictions.
        settings: Settings of the pass over the images.
        each: The maximum number of images of a kind.
        budget: Size of embedded pictures, in bytes; shared between benchmarks.
    """
    if not benchmark.shows_verdicts:
        return []
    (images,) = benchmark.image_sets(root)
    asked = []
    for classifier in classifiers:
        with suppress(UnsuitedModel):
            answers = predict(classifier, images, cache, settings)
            if (verdicts := benchmark.verdicts(answers)) is not None:
                asked.append(_Asked(classifier, answers, verdicts))
    if not asked:
        return []
    right = np.stack([one.verdicts.right for one in asked])
    names, any_verdicts = [one.classifier.name for one in asked], asked[0].verdicts
    found = []
    chosen = choose(
        right, names, each, among=any_verdicts.among, words=any_verdicts.words, images=any_verdicts.images
    )
    for choice in chosen:
        exhibits = _exhibits(images, asked, choice.chosen, settings.device)
        kept, budget = within_budget(exhibits, budget)
        if kept:
            title = ", ".join(filter(None, (full_title(benchmark.title, benchmark.label), any_verdicts.note)))
            found.append(Gallery(f"{title}: {choice.title}", choice.total, kept, tuple(names)))
    return found


class _Asked(NamedTuple):
    classifier: Classifier
    answers: Predictions
    verdicts: Verdicts


def _exhibits(
    images: ImageSet, asked: Sequence[_Asked], chosen: np.ndarray, device: str | torch.device
) -> list[Exhibit]:
    looks = [_looks(images, one, chosen, device) for one in asked]
    classifiers, answers = [one.classifier for one in asked], [one.answers for one in asked]
    plain = PixelValues(images, classifiers[0].settings)
    exhibits = []
    for position, index in enumerate(chosen.tolist()):
        picture = thumbnail(to_image(plain[index], classifiers[0].settings))
        if images.boxes is not None:
            picture = with_boxes(picture, *images.boxes[index])
        people = ""
        if images.people is not None:
            people = data_uri(overlay(picture, images.people[index].map))
        exhibits.append(
            Exhibit(
                file=answers[0].ids[index].decode(errors="replace"),
                true=first_name(asked[0].verdicts.truth[index]),
                image=data_uri(picture),
                size=picture.size,
                looks=tuple(own[position] for own in looks),
                people=people,
            )
        )
    return exhibits


def _looks(images: ImageSet, asked: _Asked, chosen: np.ndarray, device: str | torch.device) -> list[Look]:
    """One model's look at each chosen image."""
    classifier, answers, verdicts = asked
    outputs = classifier.outputs(images.classes)
    best = verdicts.best[chosen]
    mapped = best if verdicts.mapped is None else verdicts.mapped[chosen]
    dataset = PixelValues(images, classifier.settings)
    pixel_values = torch.stack([dataset[index] for index in chosen.tolist()])
    classes = torch.tensor([[outputs[index]] for index in mapped], device=device)
    maps = _attention(classifier, pixel_values.to(device), classes)
    confidence = _confidence(answers, verdicts, chosen)
    looks = []
    for position, index in enumerate(best.tolist()):
        known = index < len(answers.classes)
        name = first_name(answers.classes[index]) if known else classifier.labels[outputs[index]]
        image = ""
        if maps is not None:
            picture = to_image(pixel_values[position], classifier.settings)
            lit = overlay(thumbnail(picture), maps[position])
            if images.boxes is not None:
                lit = with_boxes(lit, *images.boxes[chosen[position]])
            image = data_uri(lit)
        right = bool(verdicts.right[chosen[position]])
        verdict = verdicts.words[0 if right else 1]
        height = None if maps is None else peak(maps[position])
        looks.append(Look(classifier.name, name, confidence[position], right, image, verdict, height))
    return looks


@torch.no_grad()
def _attention(classifier: Classifier, pixel_values: Tensor, classes: Tensor) -> np.ndarray | None:
    """`[B, H, W]`; None for a model without known attention, whose predictions are shown alone."""
    try:
        with classifier.computing(pixel_values.device):
            maps = attention_maps(classifier.model, pixel_values, classes)
        return maps[:, 0].float().cpu().numpy()
    except NoReadout:
        return None


def _confidence(answers: Predictions, verdicts: Verdicts, chosen: np.ndarray) -> list[float | None]:
    """The probability of the predicted class for each chosen image, softmax over the possible classes."""
    if answers.logits is None:
        return [None] * len(chosen)
    logits = answers.logits[chosen].astype(np.float64)
    rivals = logits if verdicts.rivals is None else logits[:, verdicts.rivals]
    own = logits[np.arange(len(chosen)), verdicts.best[chosen]]
    return (1 / np.exp(rivals - own[:, None]).sum(axis=1)).tolist()
