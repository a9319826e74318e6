"""The texts of ImageNet-AB's dataset card."""

from collections.abc import Sequence
from typing import Any

from imagenet_ab.fields import ANNOTATION_FIELDS, ID_FIELD
from luab_data.build.card import PAPER, CardText
from luab_data.constants import ANNOTATIONS, CLASS_NAME, CLICK, IMAGE, IMAGE_ID, LABEL
from luab_data.imagenet_classes import imagenet_names
from luab_data.images.pillow import JPEG_QUALITY

IMAGENET = """@article{russakovsky2015imagenet,
  title   = {ImageNet Large Scale Visual Recognition Challenge},
  author  = {Russakovsky, Olga and Deng, Jia and Su, Hao and Krause, Jonathan and Satheesh, Sanjeev and
             Ma, Sean and Huang, Zhiheng and Karpathy, Andrej and Khosla, Aditya and Bernstein, Michael and
             Berg, Alexander C. and Fei-Fei, Li},
  journal = {International Journal of Computer Vision},
  year    = {2015}
}"""


def _described(name: str) -> str:
    return f"`{name}`: {ANNOTATION_FIELDS[name].description}"


_IMAGE_COLUMN = {IMAGE: "the image file's bytes"}
_COLUMNS = {
    LABEL: "class, by its folder's name (the WordNet id), in ImageNet's order",
    CLASS_NAME: "readable name of the class",
    IMAGE_ID: ID_FIELD.description,
    CLICK: "where the annotators clicked, `{x, y}`: the mean of the first selecting click of each "
    "annotation that ended selected; null where there is none",
    ANNOTATIONS: "one entry for each time the image was annotated, empty for an image without byproducts. "
    + "; ".join(
        [
            *map(_described, ("selected_record", "mouse_tracking", "hovered_record", "estimate_time")),
            "sizes and position as rendered on the page, pixels",
            _described("worker_id"),
        ]
    ),
}
_INTRODUCTION = """ImageNet's training images with the byproducts of their annotation: the clicks that
selected an image and the cursor's path over it. The byproducts are those of Han et al., "Neglected Free
Lunch" (ICCV 2023), published as
[coallaoh/ImageNet-AB](https://huggingface.co/datasets/coallaoh/ImageNet-AB)."""
_WITHOUT_IMAGES = (
    "This is the part without images, free to redistribute; `image_id` names the image of each row."
)
_NOT_IMAGENET = """A dataset in the layout of ImageNet-AB whose classes are not ImageNet's: images with the
clicks that selected them and the cursor's path over them."""
_JOINED = f"""Image files and XML records were joined by their id. Images were kept unchanged, unless a side
was longer than `max_side` pixels: then they were turned upright, shrunk and encoded as JPEG of quality
{JPEG_QUALITY}."""
_ALONE = "The XML records were read without images."
_PROVENANCE = """Every XML was parsed and checked; rejected ones are in `rejects.jsonl`.

Points are ratios of the image, 0 to 1, x first; a point on the border can be slightly outside. Times are
epoch milliseconds."""
_BYPRODUCTS_LICENCE = "The byproducts are published under Apache-2.0."
_IMAGES_LICENCE = (
    "The images are ImageNet's, for non-commercial research and education only, under "
    "[its terms](https://image-net.org/download.php): do not make this dataset public. " + _BYPRODUCTS_LICENCE
)


def card_text(classes: Sequence[str], with_images: bool) -> CardText:
    """The card for these class folders; it names ImageNet only if they are ImageNet's."""
    is_imagenet = imagenet_names().keys() >= set(classes)
    introduction = _INTRODUCTION if is_imagenet else _NOT_IMAGENET
    metadata: dict[str, Any] = {
        "language": ["en"],
        "annotations_creators": ["crowdsourced"],
        "task_categories": ["image-classification"],
        "tags": ["annotation-byproducts", "mouse-tracking", "click", "luab"],
    }
    if not is_imagenet:
        license = "The terms of the images and records that it was made of."
        metadata |= {"license": "other"}
    elif with_images:
        license = _IMAGES_LICENCE
        metadata |= {
            "license": "other",
            "license_name": "imagenet",
            "source_datasets": ["extended|imagenet-1k"],
        }
        metadata |= {"license_link": "https://image-net.org/download.php"}
    else:
        license = _BYPRODUCTS_LICENCE
        metadata |= {"license": "apache-2.0", "source_datasets": ["extended|imagenet-1k"]}
    return CardText(
        pretty_name="ImageNet-AB" if is_imagenet else "Images with annotation byproducts",
        introduction=introduction if with_images else f"{introduction}\n\n{_WITHOUT_IMAGES}",
        columns={**(_IMAGE_COLUMN if with_images else {}), **_COLUMNS},
        provenance=f"{_JOINED if with_images else _ALONE} {_PROVENANCE}",
        license=license,
        citation=f"{PAPER}\n\n{IMAGENET}" if is_imagenet else PAPER,
        metadata=metadata,
    )
