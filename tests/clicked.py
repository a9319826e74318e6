"""A small dataset with clicks, as training takes it."""

import datasets
import numpy as np
from factories import image_bytes, noise_image


def clicked_dataset(count: int = 20, classes: int = 5, size: int = 40, seed: int = 0) -> datasets.Dataset:
    """Noise images `size` x `size` in `classes` classes with random clicks; every fifth has none."""
    rng = np.random.default_rng(seed)
    clicks = rng.uniform(0.2, 0.8, (count, 2)).round(3)
    return datasets.Dataset.from_dict(
        {
            "image": [
                {"bytes": image_bytes(noise_image(size, size, seed + i)), "path": None} for i in range(count)
            ],
            "label": [i % classes for i in range(count)],
            "click": [None if i % 5 == 4 else {"x": x, "y": y} for i, (x, y) in enumerate(clicks)],
        },
        features=datasets.Features(
            {
                "image": datasets.Image(),
                "label": datasets.ClassLabel(names=[f"class_{c}" for c in range(classes)]),
                "click": {"x": datasets.Value("float32"), "y": datasets.Value("float32")},
            }
        ),
    )
