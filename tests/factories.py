"""Data that tests make for themselves."""

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image


def noise_image(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth random RGB picture: not flat, and not so rough that rounding decides how it looks resized."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def image_bytes(image: Image.Image, format: str = "PNG") -> bytes:
    """The image as a file of the given format."""
    buffer = io.BytesIO()
    image.save(buffer, format)
    return buffer.getvalue()


WNIDS = ("n01440764", "n02123045")  # tench, tabby: label 0 and 1 of a dataset of the two


def record_xml(image_id: str, x: float = 0.5, y: float = 0.25) -> bytes:
    """One annotation that ended selected by a click at (x, y), in the released layout."""
    return f"""<annotation><metadata>
    <imageID>{image_id}</imageID>
    <mouseTracking><x>0.0</x><y>0.5</y><time>1641425051975</time></mouseTracking>
    <selected>True</selected><selectedCount>1</selectedCount>
    <selectedRecord><x>{x}</x><y>{y}</y><time>1641425052319</time></selectedRecord>
    <worker_id>47DBDD543E</worker_id>
    </metadata></annotation>""".encode()


def write_tar(path: Path, members: list[tuple[str | tarfile.TarInfo, bytes]], mode: str = "w") -> Path:
    """A tar of (name or TarInfo, content), in this order; mode `w:gz` compresses it."""
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def raw_images(root: Path, per_class: int = 3, classes: tuple[str, ...] = WNIDS) -> dict[str, bytes]:
    """Writes `<root>/<class>/<class>_<n>.JPEG`; returns {id: bytes}."""
    payloads = {}
    for class_name in classes:
        (root / class_name).mkdir(parents=True)
        for number in range(per_class):
            image_id = f"{class_name}/{class_name}_{number}"
            payloads[image_id] = image_bytes(noise_image(40, 30, seed=len(payloads)), "JPEG")
            (root / f"{image_id}.JPEG").write_bytes(payloads[image_id])
    return payloads


def raw_byproducts(path: Path, ids: list[str], more: list[tuple[str | tarfile.TarInfo, bytes]] = ()) -> Path:
    """Writes the released archive's layout with one XML for each id, and further members after them."""
    members = [(f"imagenet_ab_v1_0/train_xml/{image_id}.xml", record_xml(image_id)) for image_id in ids]
    return write_tar(path, [*members, *more], "w:gz")


def tar_of_tars(path: Path, payloads: dict[str, bytes]) -> Path:
    """Writes images as `ILSVRC2012_img_train.tar` holds them: one `<class>.tar` for each class."""
    inner = []
    for class_name in sorted({image_id.partition("/")[0] for image_id in payloads}):
        own = [
            (f"{i.partition('/')[2]}.JPEG", p) for i, p in payloads.items() if i.startswith(f"{class_name}/")
        ]
        inner.append((f"{class_name}.tar", write_tar(path.with_suffix(".inner"), own).read_bytes()))
    return write_tar(path, inner)


def files_of(folder: Path) -> dict[str, bytes]:
    """The content of every file below a folder, by its path there."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
