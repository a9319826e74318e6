"""The published files by name, with their sizes: a file of that name with fewer entries is incomplete.

Sources: the dataset cards of coallaoh/ImageNet-AB (about 1.275 million XML files) and coallaoh/COCO-AB
(82,765 images), ILSVRC 2012 (1,281,167 training images), COCO train2014 (82,783 images).
"""

from collections.abc import Mapping

LEAST = {  # entries; "about" leaves room
    "imagenet_ab_v1_0.tar.gz": 1_270_000,
    "coco_ab_v1_0.json": 82_765,
    "ILSVRC2012_img_train.tar": 1_281_167,
    "train2014.zip": 82_783,
    "instances_train2014.json": 82_783,
}


def shortfalls(places: Mapping[str, str], found: Mapping[str, int]) -> list[str]:
    """A line for each source that has a published file's name and fewer entries. Both mappings: by role."""
    return [
        f"note: {place} holds {found.get(role, 0):,} {role}; the published file of this name has at least "
        f"{LEAST[place]:,}"
        for role, place in places.items()
        if place in LEAST and found.get(role, 0) < LEAST[place]
    ]
