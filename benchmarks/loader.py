"""How fast do images become augmented batches with the click as target? Ours against the notebook's way.

    python benchmarks/loader.py [--photos FOLDER] [--passes 4] [--json FILE]

Takes the JPEGs below a folder, or draws 120 of 500 x 375 pixels, gives each a click, and makes batches of 32
at 224 x 224 on one core, in alternation, each time in a fresh process:

    notebook        the authors' loader: Pillow, full decode, random crop, bicubic, flip, tensor, normalise;
                    the click moved into the crop. From bytes in memory.
    ours            `ViewDataset` and `collate` over the Parquet files that the loading script writes, and
                    the density of the attention loss on a 14 x 14 grid
    ours, 384       the same, of images stored with `--max-side 384`
    decoder         for scale: libjpeg-turbo alone reads the images, whole

The first three end in float32 `[32, 3, 224, 224]` with labels, points and weights.
"""

import io
import math
import random
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from measuring import alternate, in_fresh_process, options, report

SIZE, BATCH = 224, 32
DRAWN = 120


def write_tables(photos: Path | None, folder: Path) -> int:
    """Parquet files of the photos with a click each, as they are and shrunk to 384. Returns how many."""
    import datasets
    import numpy as np

    from imagenet_ab.simulate.images import draw
    from luab_data.images import JPEG_QUALITY, checked_image

    rng = np.random.default_rng(0)
    if photos is not None:
        files = [path.read_bytes() for path in sorted(photos.rglob("*.JPEG"))]
    else:
        files = []
        for number in range(DRAWN):
            encoded = io.BytesIO()
            image = draw(number % 8, number % 8, 500, rng, rng)[0]
            image.resize((500, 375)).save(encoded, "JPEG", quality=JPEG_QUALITY)
            files.append(encoded.getvalue())
    if not files:
        sys.exit(f"--photos {photos}: no file *.JPEG below it")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.Value("int64"),
            "image_id": datasets.Value("string"),
            "click": {"x": datasets.Value("float32"), "y": datasets.Value("float32")},
        }
    )
    clicks = rng.uniform(0.2, 0.8, (len(files), 2))
    for name, max_side in (("full", None), ("384", 384)):
        rows = [
            {
                "image": {"bytes": checked_image(data, max_side), "path": None},
                "label": number % 10,
                "image_id": str(number),
                "click": {"x": x, "y": y},
            }
            for number, (data, (x, y)) in enumerate(zip(files, clicks, strict=True))
        ]
        datasets.Dataset.from_list(rows, features=features).to_parquet(folder / f"{name}.parquet")
    return len(files)


def notebook_samples(rows: list[dict]) -> Iterator[tuple]:
    """The authors' loader, as their notebook does it: torchvision's steps on PIL images."""
    import numpy as np
    import torch
    from PIL import Image

    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    generator = random.Random(0)
    for row in rows:
        image = Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")
        left, top, width, height = crop_window(*image.size, generator)
        x, y = row["click"]["x"] * image.width, row["click"]["y"] * image.height
        crop = image.crop((left, top, left + width, top + height)).resize((SIZE, SIZE), Image.BICUBIC)
        flipped = generator.random() < 0.5
        if flipped:
            crop = crop.transpose(Image.FLIP_LEFT_RIGHT)
        values = torch.from_numpy(np.array(crop)).permute(2, 0, 1).contiguous().to(torch.float32).div(255)
        values = values.sub(mean).div(std)
        point, weight = (-1.0, -1.0), 0.0
        if left < x < left + width and top < y < top + height:
            x, y = (x - left) / width, (y - top) / height
            point, weight = (1 - x if flipped else x, y), 1.0
        yield values, row["label"], point, weight


def crop_window(width: int, height: int, generator: random.Random) -> tuple[int, int, int, int]:
    """torchvision's RandomResizedCrop: left, top, width, height in pixels."""
    for _ in range(10):
        area = width * height * generator.uniform(0.08, 1)
        aspect = math.exp(generator.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return generator.randint(0, width - w), generator.randint(0, height - h), w, h
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side, side


def batches_of(samples: Iterator) -> Iterator[list]:
    batch = []
    for sample in samples:
        batch.append(sample)
        if len(batch) == BATCH:
            yield batch
            batch = []


def notebook(folder: Path, passes: int):
    import torch
    from datasets import Dataset, Image

    torch.set_num_threads(1)
    table = Dataset.from_parquet(str(folder / "full.parquet"), cache_dir=str(folder / "cache"))
    rows = table.cast_column("image", Image(decode=False)).to_list() * passes

    def job():
        images = 0
        for batch in batches_of(notebook_samples(rows)):
            values, labels, points, weights = zip(*batch, strict=True)
            torch.stack(values), torch.tensor(labels), torch.tensor(points), torch.tensor(weights)
            images += len(batch)
        return lambda: {"images": images}

    return job


def ours(file: str, folder: Path, passes: int):
    import torch
    from datasets import Dataset

    from luab_trainer.collator import collate
    from luab_trainer.dataset import ViewDataset
    from luab_trainer.density import density
    from luab_trainer.transforms import ImageSettings, TrainTransform

    torch.set_num_threads(1)
    rows = Dataset.from_parquet(str(folder / file), cache_dir=str(folder / "cache"))
    dataset = ViewDataset(rows, TrainTransform(ImageSettings(SIZE)), byproduct="click")

    def samples():
        for epoch in range(passes):
            dataset.set_epoch(epoch)
            yield from (dataset[index] for index in range(len(dataset)))

    def job():
        images = 0
        for samples_of_batch in batches_of(samples()):
            batch = collate(samples_of_batch)
            density(batch["target_points"], batch["target_weights"], (14, 14), 0.15)
            images += len(samples_of_batch)
        return lambda: {"images": images}

    return job


def decoder_alone(folder: Path, passes: int):
    import simplejpeg
    from datasets import Dataset, Image

    table = Dataset.from_parquet(str(folder / "full.parquet"), cache_dir=str(folder / "cache"))
    files = [row["image"]["bytes"] for row in table.cast_column("image", Image(decode=False))]

    def job():
        images = 0
        for _ in range(passes):
            for file in files:
                simplejpeg.decode_jpeg(file)
            images += len(files)
        return lambda: {"images": images - images % BATCH}

    return job


WAYS = {
    "notebook": notebook,
    "ours": partial(ours, "full.parquet"),
    "ours, 384": partial(ours, "384.parquet"),
    "decoder": decoder_alone,
}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--photos", type=Path, help="a folder of JPEGs (default: draw some)")
    parser.add_argument("--passes", type=int, default=4, help="over the photos (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos = in_fresh_process(write_tables, arguments.photos, Path(folder))
        runs = alternate(WAYS, (Path(folder), arguments.passes), arguments.repeats)
    facts = {"photos": photos, "drawn": arguments.photos is None}
    medians = report(runs, ["ours", "ours, 384"], facts, arguments.json)["medians"]
    for name, median in medians.items():
        print(f"{name:12} {median['images'] / median['cpu_s']:,.0f} images/s of one core")


if __name__ == "__main__":
    main()
