"""How fast do images become augmented batches with the click as target? Ours against the notebook's way.

    python benchmarks/loader.py [--photos FOLDER] [--repeats 25] [--json FILE]

Takes the JPEGs below a folder, or draws 128 of 500 x 375 pixels, gives each a click, and makes batches of 32
at 224 x 224 on one core. In one process the ways go over the images in turn:

    notebook            the authors' loader: Pillow, full decode, random crop, bicubic, flip, tensor,
                        normalize; the click moved into the crop. From bytes in memory.
    ours                `ViewDataset` and `collate` over the Parquet files that the loading script writes,
                        normalized as the model does it, and the density of the attention loss, 14 x 14
    ours, 384           the same, of images stored with `--max-side 384`
    ours, bytes         what the loader itself does of it: the model normalizes where it is, and the loss
    ours, 384, bytes    makes the densities there
    decoder             the limit: libjpeg-turbo alone reads the images, whole
    decoder, 384

The first three end in float32 `[32, 3, 224, 224]` with labels, points and weights.
"""

import io
import itertools
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import in_fresh_process, in_turn, options, report

if TYPE_CHECKING:
    import numpy as np

SIZE, BATCH = 224, 32
DRAWN = 128
OURS = ("ours", "ours, 384", "ours, bytes", "ours, 384, bytes")


def write_tables(photos: Path | None, folder: Path) -> int:
    """Parquet files of the photos with a click each, as they are and shrunk to 384; whole batches, for which
    the first few photos come twice. Returns how many.
    """
    import datasets
    import numpy as np

    from luab_data.images.pillow import checked_image

    datasets.disable_progress_bars()
    rng = np.random.default_rng(0)
    files = jpegs(photos, DRAWN, rng)
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.Value("int64"),
            "image_id": datasets.Value("string"),
            "click": {"x": datasets.Value("float32"), "y": datasets.Value("float32")},
        }
    )
    files = [files[number % len(files)] for number in range(math.ceil(len(files) / BATCH) * BATCH)]
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


def jpegs(photos: Path | None, drawn: int, rng: "np.random.Generator") -> list[bytes]:
    """The JPEGs below a folder; without one, so many drawn ones of 500 x 375 pixels."""
    from imagenet_ab.simulate.images import draw

    if photos is not None:
        files = [path.read_bytes() for path in sorted(photos.rglob("*.JPEG"))]
        return files or sys.exit(f"--photos {photos}: no file *.JPEG below it")
    files = []
    for number in range(drawn):
        encoded = io.BytesIO()
        image = draw(number % 8, number % 8, 500, rng, rng)[0]
        image.resize((500, 375)).save(encoded, "JPEG", quality=95)
        files.append(encoded.getvalue())
    return files


def notebook_samples(rows: list[dict]) -> Iterator[tuple]:
    """The authors' loader, as their notebook does it: torchvision's steps on PIL images, one by one."""
    import numpy as np
    import torch
    from PIL import Image

    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    for row in rows:
        image = Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")
        left, top, width, height = crop_window(*image.size)
        x, y = row["click"]["x"] * image.width, row["click"]["y"] * image.height
        crop = image.crop((left, top, left + width, top + height)).resize((SIZE, SIZE), Image.BICUBIC)
        flipped = bool(torch.rand(1) < 0.5)
        if flipped:
            crop = crop.transpose(Image.FLIP_LEFT_RIGHT)
        values = torch.from_numpy(np.array(crop)).permute(2, 0, 1).contiguous().to(torch.float32).div(255)
        values = values.clone().sub_(torch.tensor(mean)[:, None, None]).div_(torch.tensor(std)[:, None, None])
        point, weight = (-1.0, -1.0), 0.0
        if left < x < left + width and top < y < top + height:
            x, y = (x - left) / width, (y - top) / height
            point, weight = (1 - x if flipped else x, y), 1.0
        yield values, row["label"], point, weight


def crop_window(width: int, height: int) -> tuple[int, int, int, int]:
    """torchvision's RandomResizedCrop: left, top, width, height in pixels."""
    import torch

    ratio = torch.log(torch.tensor([3 / 4, 4 / 3]))
    for _ in range(10):
        area = width * height * torch.empty(1).uniform_(0.08, 1).item()
        aspect = torch.exp(torch.empty(1).uniform_(ratio[0], ratio[1])).item()
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left = torch.randint(0, width - w + 1, (1,)).item()
            return left, torch.randint(0, height - h + 1, (1,)).item(), w, h
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side, side


def batches_of(samples: Iterator) -> Iterator[list]:
    batch = []
    for sample in samples:
        batch.append(sample)
        if len(batch) == BATCH:
            yield batch
            batch = []


def notebook(rows):
    import torch

    rows = rows.to_list()

    def job() -> None:
        for batch in batches_of(notebook_samples(rows)):
            values, labels, points, weights = zip(*batch, strict=True)
            torch.stack(values), torch.tensor(labels), torch.tensor(points), torch.tensor(weights)

    return job


def ours(rows, finished: bool):
    """`finished`: with what is done where the model is."""
    from luab_attention.density import density
    from luab_trainer.data.collator import collate
    from luab_trainer.data.dataset import ViewDataset
    from luab_vision.transforms import ImageSettings, TrainTransform, normalize

    settings = ImageSettings(SIZE)
    dataset = ViewDataset(rows, TrainTransform(settings), byproduct="click")
    epochs = itertools.count()

    def job() -> None:
        dataset.set_epoch(next(epochs))
        for start in range(0, len(dataset), BATCH):
            # As torch's DataLoader does it.
            batch = collate(dataset.__getitems__(list(range(start, start + BATCH))))
            if finished:
                normalize(batch["pixel_values"], *settings.normalization)
                density(batch["target_points"], batch["target_weights"], (14, 14), 0.15)

    return job


def decoder(rows):
    import simplejpeg

    files = [row["image"]["bytes"] for row in rows]

    def job() -> None:
        for file in files:
            simplejpeg.decode_jpeg(file)

    return job


def measure(folder: Path, repeats: int) -> tuple[dict[str, list[dict]], int]:
    """The runs of each way, and how many images one run has."""
    import datasets
    import torch
    from datasets import Dataset, Image

    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    full, small = (
        Dataset.from_parquet(str(folder / f"{name}.parquet"), cache_dir=str(folder / "cache"))
        for name in ("full", "384")
    )
    full, small = (rows.cast_column("image", Image(decode=False)) for rows in (full, small))
    jobs = {
        "notebook": notebook(full),
        "ours": ours(full, finished=True),
        "ours, 384": ours(small, finished=True),
        "ours, bytes": ours(full, finished=False),
        "ours, 384, bytes": ours(small, finished=False),
        "decoder": decoder(full),
        "decoder, 384": decoder(small),
    }
    return in_turn(jobs, repeats), len(full)


def main() -> None:
    parser = options(__doc__, repeats=25)
    parser.add_argument("--photos", type=Path, help="a folder of JPEGs (default: draw some)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos = in_fresh_process(write_tables, arguments.photos, Path(folder))
        runs, images = in_fresh_process(measure, Path(folder), arguments.repeats)
    facts = {"photos": photos, "drawn": arguments.photos is None, "images_a_run": images}
    medians = report(runs, [(name, "notebook") for name in OURS], facts, arguments.json)["medians"]
    for name, median in medians.items():
        print(f"{name:16} {images / median['cpu_s']:,.0f} images/s of one core")


if __name__ == "__main__":
    main()
