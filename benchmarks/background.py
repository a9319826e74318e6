"""How long does another background take? Objects that are cut out, beside discs and no mix.

    python benchmarks/background.py [--photos FOLDER] [--repeats 15] [--json FILE]

Takes the JPEGs below a folder, or draws 64 of 500 x 375 pixels, gives each a click, and makes training crops
of 224 x 224 from bytes in memory, on one core, as bytes. All ways live in one process, in turn.

    none        `ViewDataset` without a mix
    disc        every crop gets another image's background beyond a disc
    object      the same around the object, which GrabCut cuts out, as in the first epoch
    kept        the same in the next epochs: what was cut out is kept
"""

from functools import partial
from pathlib import Path

from loader import jpegs
from measuring import in_turn, options, report

SIZE, DRAWN = 224, 64
KEPT = "kept"


def main() -> None:
    parser = options(__doc__, repeats=15)
    parser.add_argument("--photos", type=Path, help="folder of JPEGs (default: drawn ones)")
    arguments = parser.parse_args()

    import numpy as np
    import torch

    from luab_trainer.config import DISC, OBJECT
    from luab_trainer.data.background import BackgroundMix
    from luab_trainer.data.dataset import ViewDataset
    from luab_vision.transforms import ImageSettings, TrainTransform

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    images = jpegs(arguments.photos, DRAWN, rng)
    rows = [
        {"image": {"bytes": image, "path": None}, "label": 0, "click": {"x": x, "y": y}}
        for image, (x, y) in zip(images, rng.uniform(0.3, 0.7, (len(images), 2)), strict=True)
    ]
    transform = TrainTransform(ImageSettings(size=SIZE))

    mixes = {"none": None, DISC: BackgroundMix(1.0, shape=DISC), OBJECT: BackgroundMix(1.0, shape=OBJECT)}
    datasets = {
        name: ViewDataset(rows, transform, 0, byproduct="click", mix=mix) for name, mix in mixes.items()
    }
    jobs = {name: partial(read_first, dataset) for name, dataset in datasets.items()}
    jobs[KEPT] = partial(read_all, datasets[OBJECT])
    runs = in_turn(jobs, arguments.repeats)
    for each in runs.values():
        for run in each:
            run.update({key: seconds / len(rows) * 1000 for key, seconds in run.items()})
    print(f"of {len(rows)} images, a thousand crops each:")
    report(
        runs,
        [(DISC, OBJECT), ("none", OBJECT), (OBJECT, KEPT)],
        {"images": len(rows)},
        arguments.json,
    )


def read_first(dataset) -> None:
    from luab_trainer.data.cutout import room_for_objects

    if (mixer := dataset.to_sample.mixer) is not None:
        mixer.kept = room_for_objects()
    read_all(dataset)


def read_all(dataset) -> None:
    dataset.__getitems__(range(len(dataset)))


if __name__ == "__main__":
    main()
