"""How well a model's attention agrees with people's: one benchmark a metric, one pass over the images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from luab_eval.alignment.scores import CENTER, SPLIT_HALVES
from luab_eval.benchmark import Benchmark, ImageSet, Predictions, Scores, Verdicts
from luab_eval.image_sets.attention import EXPECTED, AttentionDataset, attention_dataset
from luab_eval.image_sets.folders import own_name
from luab_eval.localization import MAP

MODEL = "model"
HUMAN_IMAGES = "human_images"
BYLINSKII = (
    "Bylinskii et al., What do different evaluation metrics tell us about saliency models?, TPAMI 2019, "
    "arXiv 1604.03605"
)
KUMMERER = "Kümmerer et al., Saliency benchmarking made easy, ECCV 2018, arXiv 1704.08615"


class AlignmentBenchmark(Benchmark):
    """A metric of `luab_eval.alignment` on a dataset with human attention.

    Args:
        argument: See `argument_help`.
        val: See `Benchmark`.
        own: The dataset, instead of an argument.
    """

    download = "your own dataset with human attention: see docs/attention.md"
    layout = (
        "DATASET, a folder or an id on the Hub, with a split SPLIT and the column of human attention "
        "that `against` names"
    )
    folders = ()
    argument_help = EXPECTED
    in_percent = False
    bounds = (-1.0, 1.0)
    needs_fixations: ClassVar[bool] = False
    truths_needed = "do not tell which people they were measured against"
    truths_options = ("--label-column", "--label-format", "--sigma")

    def __init__(self, argument: str = "", val: str | None = None, own: AttentionDataset | None = None):
        super().__init__(argument if own is None else own.argument, val)
        self.own = own or attention_dataset(*own_name(self.name, argument, self.argument_help))

    @property
    def label(self) -> str:
        """The dataset's name in tables, with what people's attention is read from."""
        return f"{self.own.own_name}, {self.own.against}"

    def find(self, root: Path) -> Path | None:
        """The dataset's folder, or None."""
        return self.own.find(root)

    def missing(self, root: Path, partial: bool = False) -> str | None:
        """A message on what is missing, or None."""
        if self.needs_fixations and not self.own.has_fixations:
            return f"{self.own.against} {NO_FIXATIONS}"
        return self.own.missing(root, partial)

    def problem(self, folder: Path, partial: bool) -> str | None:
        """None: `missing` reports problems."""
        return None

    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        """The images that people looked at; no image again for another metric."""
        self._root = root
        images = self.own.image_set(root)
        self.left_out = self.own.left_out
        yield images

    def score(self, predictions: Sequence[Predictions]) -> Scores:
        """The metric, and what the baselines reach on the same images."""
        (answers,) = predictions
        found = self._found(answers)
        alignment = self.own.judged(self._root).alignment
        of_pictures = {
            metric: {who: alignment.by_picture(values) for who, values in found[metric].items()}
            for metric in (self.primary, *self.also())
        }
        per_image = of_pictures[self.primary][MODEL]
        metrics = {self.primary: float(per_image.mean())}
        for who, values in of_pictures[self.primary].items():
            if who != MODEL and not np.isnan(values).all():
                metrics[f"{self.primary}_{who}"] = float(np.nanmean(values))
            if (share := alignment.center_shares.get((self.primary, who))) is not None:
                metrics[f"{self.primary}_{who}_center_share"] = share
        metrics |= self._of_several(found[self.primary])
        for metric in self.also():
            metrics[metric] = float(of_pictures[metric][MODEL].mean())
        first, targets = alignment.first, answers.targets
        names = answers.classes if (targets >= 0).all() else None
        single = np.bincount(alignment.pictures) == 1
        whole = Scores({}, answers.ids, answers.groups, targets, found[self.primary][MODEL], names)
        return Scores(
            metrics | self.further(metrics),
            answers.ids[first],
            answers.groups[first],
            np.where(single, targets[first], -1),
            per_image,
            references=alignment.references([answers.classes[k] if k >= 0 else "" for k in targets]),
            of_classes=whole.per_class(),
        )

    def also(self) -> tuple[str, ...]:
        """Other metrics that are reported beside this one."""
        return ()

    def further(self, metrics: dict[str, float]) -> dict[str, float]:
        """Figures that follow from the metrics."""
        return {}

    def _of_several(self, found: dict[str, np.ndarray]) -> dict[str, float]:
        """How many images have figures of humans, and the model's mean over these, if they are not all."""
        several = ~np.isnan(found.get(SPLIT_HALVES, np.full(1, np.nan)))
        if not several.any():
            return {}
        by_picture = self.own.judged(self._root).alignment.by_picture
        on = by_picture(np.where(several, found[MODEL], np.nan))  # the same images and classes
        count = {f"{self.primary}_{HUMAN_IMAGES}": float((~np.isnan(on)).sum())}
        if several.all():
            return count
        return count | {f"{self.primary}_on_{HUMAN_IMAGES}": float(np.nanmean(on))}

    def _found(self, answers: Predictions) -> dict[str, dict[str, np.ndarray]]:
        if answers.looks is None:
            raise ValueError(
                "these predictions do not say where the model looks: their image set has no maps"
            )
        maps = answers.looks[MAP]
        odd = ~np.isfinite(maps).all(axis=(1, 2))
        if odd.any():
            raise ValueError(
                f"the model's map of image {answers.ids[odd.argmax()].decode(errors='replace')} has values "
                f"that are not finite ({int(odd.sum()):,} of {len(odd):,} images): the model's weights, or "
                "the precision (--bf16), do not suit it"
            )
        return self.own.judged(self._root).alignment.of_model(maps)


NO_FIXATIONS = "say in which area people looked and not at which places, so that there are no fixations"


class SpearmanAlignment(AlignmentBenchmark):
    """The rank correlation of maps, as in ClickMe's protocol."""

    name = "align_spearman"
    title = "Alignment: Spearman"
    summary = "rank correlation of the model's map with people's, mean over images (as in ClickMe's protocol)"
    paper = (
        "Linsley et al., Learning what and where to attend, ICLR 2019, arXiv 1805.08819; Fel et al., "
        "Harmonizing the object recognition strategies of deep neural networks with humans, NeurIPS 2022, "
        "arXiv 2211.04533"
    )
    primary = "spearman"
    shows_verdicts = True

    def further(self, metrics: dict[str, float]) -> dict[str, float]:
        """The share of the human ceiling, over the images that have one."""
        ceiling = metrics.get(f"{self.primary}_{SPLIT_HALVES}", 0.0)
        own = metrics.get(f"{self.primary}_on_{HUMAN_IMAGES}", metrics[self.primary])
        return {"spearman_of_ceiling": own / ceiling} if ceiling > 0 else {}

    def verdicts(self, answers: Predictions) -> Verdicts:
        """An image is closer to people if the model's map correlates better than the center bias."""
        found = self._found(answers)[self.primary]
        truth = [answers.classes[k] if k >= 0 else "not given" for k in answers.targets]
        best = answers.top[:, 0]
        mapped = np.where(answers.targets >= 0, answers.targets, best)
        words = ("closer to people than the center", "no closer to people than the center")
        pictures = self.own.judged(self._root).alignment.pictures
        return Verdicts(
            found[MODEL] > found[CENTER], best, truth, mapped=mapped, words=words, images=pictures
        )


class CorrelationAlignment(AlignmentBenchmark):
    """CC."""

    name = "align_cc"
    title = "Alignment: CC"
    summary = "linear correlation of the model's map with people's, mean over images"
    paper = BYLINSKII
    primary = "cc"


class SimilarityAlignment(AlignmentBenchmark):
    """SIM."""

    name = "align_sim"
    title = "Alignment: SIM"
    summary = "mass that the model's map and people's share, as densities, mean over images"
    paper = BYLINSKII
    primary = "sim"
    bounds = (0.0, 1.0)


class DivergenceAlignment(AlignmentBenchmark):
    """KL."""

    name = "align_kl"
    title = "Alignment: KL"
    summary = "KL divergence of people's density from the model's, nats, mean over images"
    paper = BYLINSKII
    primary = "kl"
    higher_is_better = False
    bounds = (0.0, np.inf)


class ScanpathSaliencyAlignment(AlignmentBenchmark):
    """NSS."""

    name = "align_nss"
    title = "Alignment: NSS"
    summary = (
        "normalized scanpath saliency: the model's map at people's fixations, in deviations from its mean"
    )
    paper = BYLINSKII
    primary = "nss"
    bounds = (-np.inf, np.inf)
    needs_fixations = True


class JuddAlignment(AlignmentBenchmark):
    """AUC-Judd."""

    name = "align_auc_judd"
    title = "Alignment: AUC-Judd"
    summary = (
        "area under the ROC curve of the map: fixated cells against all cells; further also against the "
        "unfixated cells"
    )
    paper = f"Judd et al., Learning to predict where humans look, ICCV 2009; as in {KUMMERER}"
    primary = "auc_judd"
    bounds = (0.0, 1.0)
    needs_fixations = True

    def also(self) -> tuple[str, ...]:
        """The other set of negatives."""
        return ("auc_judd_unfixated",)


class ShuffledAlignment(AlignmentBenchmark):
    """Shuffled AUC."""

    name = "align_sauc"
    title = "Alignment: sAUC"
    summary = "area under the ROC curve of the map: fixated cells against all fixations of all other images"
    paper = f"Zhang et al., SUN: A Bayesian framework for saliency, JoV 2008; as in {KUMMERER}"
    primary = "shuffled_auc"
    bounds = (0.0, 1.0)
    needs_fixations = True


class InformationGainAlignment(AlignmentBenchmark):
    """Information gain."""

    name = "align_information_gain"
    title = "Alignment: information gain"
    summary = (
        "bits per fixation that the map, as a density, knows more than the center bias of the other images"
    )
    paper = (
        "Kümmerer et al., Information-theoretic model comparison unifies saliency metrics, PNAS 2015; as in "
        f"{KUMMERER}"
    )
    primary = "information_gain"
    bounds = (-np.inf, np.inf)
    needs_fixations = True
