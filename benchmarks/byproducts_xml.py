"""How fast, and in how much memory, are ImageNet-AB's XML files read into Arrow columns with every field?

    python benchmarks/byproducts_xml.py [--files 40000] [--archive imagenet_ab_v1_0.tar.gz] [--json FILE]

Generates an archive of the released layout (simulated annotators), or takes the given one, and reads it in
alternation, each time in a fresh process, in three ways. The first two end alike, in Arrow tables of up to
2,000 rows that are counted and dropped; that the rows are the same, value for value, is checked once.

    ours         the rows of the configuration `byproducts`: what the build and load_dataset make
    ElementTree  the authors' way: files unpacked before (not counted), each parsed and searched by name;
                 nothing is checked
    tarfile      Python's tarfile goes over the archive's members, and reads nothing: for scale

Prints the medians of CPU and wall time, the ratio of each pair of runs with its spread, and the peak resident
memory of a process, and writes all of it as JSON. The release has 1,275,000 files.
"""

import io
import itertools
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
from measuring import alternate, in_fresh_process, options, report, warm

RECORDS = 2000  # different ones; the archive repeats them under new image ids
CLASSES = 50
TWINS = 100  # one file of so many has an AppleDouble twin


def image_names(count: int) -> Iterator[str]:
    """`<wnid>/<wnid>_<n>`, class by class."""
    from luab_data.imagenet_classes import imagenet_names

    classes = list(imagenet_names())[:CLASSES]
    for number in range(count):
        wnid = classes[number * CLASSES // count]
        yield f"{wnid}/{wnid}_{number}"


def write_archive(path: Path, files: int) -> None:
    """An archive of the released layout."""
    import numpy as np

    from imagenet_ab.simulate.annotators import annotate
    from imagenet_ab.write import write_xml
    from luab_data.simulate.drawing import Box

    rng = np.random.default_rng(0)
    xmls = [write_xml(annotate("IMAGE/ID", Box(120, 100, 360, 300), 500, 375, rng)) for _ in range(RECORDS)]

    def add(name: str, data: bytes) -> None:
        member = tarfile.TarInfo(f"imagenet_ab_v1_0/train_xml/{name}")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
        archive.members.clear()

    with tarfile.open(path, "w:gz", compresslevel=6) as archive:
        for number, name in enumerate(image_names(files)):
            add(f"{name}.xml", xmls[number % RECORDS].replace(b"IMAGE/ID", name.encode()))
            if number % TWINS == 0:
                add("{}/._{}.xml".format(*name.split("/")), b"\0\5\26\7" + bytes(140))


def unpack(archive: Path, folder: Path) -> int:
    """The XML files of the archive below `folder`; `paths.txt` lists them in the archive's order."""
    paths = []
    with tarfile.open(archive, "r|gz") as members:
        for member in members:
            if member.isfile() and not Path(member.name).name.startswith("._"):
                path = folder.joinpath(*Path(member.name).parts[-2:])
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(members.extractfile(member).read())
                paths.append(str(path))
    (folder / "paths.txt").write_text("\n".join(paths))
    return len(paths)


def tables_of_ours(archive: Path, unpacked: Path) -> Iterator[pa.Table]:
    from imagenet_ab.pairs import RawImageNetAB
    from luab_data.build.batches import groups
    from luab_data.build.raw import BYPRODUCTS_ONLY, ROWS_PER_GROUP

    raw = RawImageNetAB(None, archive, with_images=False)
    schema, make_batch = raw.features().arrow_schema, raw.to_batch()
    for group in groups(raw.pairs(), ROWS_PER_GROUP[BYPRODUCTS_ONLY]):
        yield make_batch(group, schema).table


def tables_of_elementtree(archive: Path, unpacked: Path) -> Iterator[pa.Table]:
    from imagenet_ab.rows import features
    from luab_data.build.raw import BYPRODUCTS_ONLY, ROWS_PER_GROUP
    from luab_data.imagenet_classes import class_list, class_name

    paths = (unpacked / "paths.txt").read_text().splitlines()
    classes = class_list(None)  # those of ImageNet
    labels = {name: label for label, name in enumerate(classes)}
    schema = features(classes, images=False).arrow_schema
    number = ROWS_PER_GROUP[BYPRODUCTS_ONLY]
    for start in range(0, len(paths), number):
        rows = []
        for path in paths[start : start + number]:
            image_id, annotations = element_tree_record(path)
            wnid = image_id.partition("/")[0]
            rows.append(
                {
                    "label": labels[wnid],
                    "class_name": class_name(wnid),
                    "image_id": image_id,
                    "click": click(annotations),
                    "annotations": annotations,
                }
            )
        yield pa.Table.from_pylist(rows, schema=schema)


def element_tree_record(path: str) -> tuple[str, list[dict]]:
    """The image id and all fields of all annotations of one file."""

    def whole(element: ElementTree.Element, tag: str) -> int | None:
        text = element.findtext(tag)
        return int(text) if text else None

    def points(element: ElementTree.Element, tag: str) -> list[dict]:
        return [
            {"x": float(each.findtext("x")), "y": float(each.findtext("y")), "time": whole(each, "time")}
            for each in element.findall(tag)
            if len(each)
        ]

    image_id, annotations = None, []
    for each in ElementTree.parse(path).getroot().iter("metadata"):
        image_id = each.findtext("imageID")
        position = each.find("imagePosition")
        annotations.append(
            {
                "selected": each.findtext("selected") == "True",
                "selected_count": whole(each, "selectedCount"),
                "selected_record": points(each, "selectedRecord"),
                "mouse_tracking": points(each, "mouseTracking"),
                "hovered_count": whole(each, "hoveredCount"),
                "hovered_record": [
                    {"action": hover.findtext("action"), "time": whole(hover, "time")}
                    for hover in each.findall("hoveredRecord")
                    if len(hover)
                ],
                "estimate_time": whole(each, "estimateTime") or None,
                "original_image_height": whole(each, "originalImageHeight"),
                "original_image_width": whole(each, "originalImageWidth"),
                "image_height": whole(each, "imageHeight"),
                "image_width": whole(each, "imageWidth"),
                "image_position": {axis: float(position.findtext(axis)) for axis in "xy"},
                "worker_id": each.findtext("worker_id"),
                "assignment_id": each.findtext("assignment_id"),
                "page_idx": whole(each, "page_idx"),
            }
        )
    return image_id, annotations


def click(annotations: list[dict]) -> dict | None:
    selected = [each["selected_record"] for each in annotations if each["selected"]]
    first = [clicks[0] for clicks in selected if clicks]
    return {axis: sum(each[axis] for each in first) / len(first) for axis in "xy"} if first else None


def ours(*places: Path):
    import imagenet_ab.pairs  # noqa: F401

    return partial(_count, tables_of_ours, *places)


def element_tree(*places: Path):
    import imagenet_ab.rows  # noqa: F401

    return partial(_count, tables_of_elementtree, *places)


def _count(tables: Callable, *places: Path):
    rows = sum(len(table) for table in tables(*places))
    return lambda: {"rows": rows}


def tar_alone(archive: Path, unpacked: Path):
    def job():
        with tarfile.open(archive, "r|gz") as members:
            count = sum(1 for _ in members)
        return lambda: {"members": count}

    return job


def same_rows(*places: Path) -> bool:
    both = (
        (row for table in tables(*places) for row in table.to_pylist())
        for tables in (tables_of_ours, tables_of_elementtree)
    )
    return all(one == other for one, other in itertools.zip_longest(*both))


WAYS = {"ours": ours, "ElementTree": element_tree, "tarfile": tar_alone}


def main() -> None:
    parser = options(__doc__)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--files", type=int, default=40_000, help="to generate (default: %(default)s)")
    source.add_argument("--archive", type=Path, help="read this one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        archive, unpacked = (
            arguments.archive or Path(folder) / "imagenet_ab_v1_0.tar.gz",
            Path(folder) / "xml",
        )
        unpacked.mkdir()
        if arguments.archive is None:
            in_fresh_process(write_archive, archive, arguments.files)
        files = in_fresh_process(unpack, archive, unpacked)
        print(f"{archive.name}: {archive.stat().st_size / 1e6:.0f} MB, {files:,} XML files")
        if not in_fresh_process(same_rows, archive, unpacked):
            sys.exit("the rows of ours and ElementTree are not the same")
        warm(archive)
        runs = alternate(WAYS, (archive, unpacked), arguments.repeats)
    facts = {"files": files, "the same rows": True}
    pairs = [("ours", "ElementTree"), ("ours", "tarfile")]
    medians = report(runs, pairs, facts, arguments.json)["medians"]
    print(", ".join(f"{name} {files / median['cpu_s']:,.0f} files/s" for name, median in medians.items()))


if __name__ == "__main__":
    main()
