"""Small datasets in the forms that people have theirs in: 8 images of cats and dogs, with clicks."""

import csv
import io
import json
import tarfile
from pathlib import Path

import datasets
from factories import image_bytes, noise_image

CLASSES = ("cat", "dog")
FILES = [f"{CLASSES[i % 2]}/{i}.png" for i in range(8)]
CLICKS = [(0.25 + i / 40, 0.5) for i in range(8)]
WIDTH, HEIGHT = 40, 30


def write_images(folder: Path) -> list[str]:
    """Writes <class>/<n>.png; returns the paths from the folder."""
    for number, file in enumerate(FILES):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(picture(number))
    return FILES


def picture(number: int) -> bytes:
    return image_bytes(noise_image(WIDTH, HEIGHT, seed=number))


def write_lines(file: Path, rows: list[dict]) -> Path:
    """JSONL, or CSV by the file's suffix."""
    if file.suffix == ".csv":
        with file.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return file


def table(**columns: list) -> datasets.Dataset:
    """The images as bytes, and these columns."""
    images = [{"bytes": picture(number), "path": None} for number in range(8)]
    rows = datasets.Dataset.from_dict({"image": images, **columns})
    return rows.cast_column("image", datasets.Image())


def labels() -> list[str]:
    return [file.partition("/")[0] for file in FILES]


def write_webdataset(file: Path) -> Path:
    """A tar of <n>.png, <n>.cls and <n>.json with the click."""
    with tarfile.open(file, "w") as tar:
        for number, (x, y) in enumerate(CLICKS):
            parts = {"png": picture(number), "cls": str(number % 2).encode()}
            parts["json"] = json.dumps({"click": {"x": x, "y": y}, "worker": "w1"}).encode()
            for suffix, content in parts.items():
                info = tarfile.TarInfo(f"{number:03d}.{suffix}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return file
