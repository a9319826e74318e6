"""Make a dataset of any human attention: gaze, mouse, points, boxes, masks, maps.

    luab convert table clicks.csv --units pixels --images photos --output-dir data/clicks
    luab convert salicon fixations_train2014.json --images train2014.zip --output-dir data/salicon

Writes a folder that `datasets.load_dataset` opens anywhere, and checks it: how many points lie inside the
true boxes or masks, as read and read otherwise, and a picture of twelve images with what was read on them.
"""

from __future__ import annotations

import sys
from typing import Any

from luab_data.console.boundary import boundary
from luab_data.console.text import did_you_mean, printable

STATED = ("device", "license", "pixels_per_degree", "sigma", "refusal")


def usage() -> str:
    """The text of `luab convert --help`."""
    from luab_attention.readers import readers

    known = readers()
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in known.items()]
    return "\n".join(
        [
            f"usage: luab convert SOURCE PATH --output-dir DIR ...\n\n{__doc__}",
            "sources:",
            *lines,
            "",
            "`luab convert SOURCE --help` lists a source's options.",
        ]
    )


def main(argv: list[str]) -> int | None:
    """Runs the command `luab convert`."""
    from luab_attention.readers import readers

    if argv[:1] in (["-h"], ["--help"]):
        print(usage())
        return 0
    known = readers()
    if not argv or argv[0].replace("-", "_") not in known:
        if argv:
            problem = f"there is no source {printable(argv[0])!r}{did_you_mean(argv[0], known)}"
            print(f"luab convert: {problem}\n", file=sys.stderr)
        print(usage(), file=sys.stderr)
        return 2
    _convert(argv[0].replace("-", "_"), argv[1:])
    return 0


def _convert(name: str, argv: list[str]) -> None:
    from luab_attention.readers import Reader, reader_named
    from luab_data.script import build_options, run

    reader: Reader = reader_named(name)
    options = build_options(f"luab convert {name}", reader.help, configurations=False)
    options.add_argument("path", help="the source's file or folder")
    options.add_argument("--images", help="folder, zip, tar or Hub id; without it, rows have no images")
    options.add_argument("--images-split", metavar="NAME", help="of a dataset of images (default: train)")
    options.add_argument("--images-config", metavar="NAME", help="of it (default: its default configuration)")
    options.add_argument(
        "--boxes",
        metavar="PATH",
        help="true boxes or masks of the images, to compare the points with",
    )
    options.add_argument(
        "--boxes-reader", metavar="SOURCE", help="default: coco for a file, imagenet_boxes for a folder"
    )
    options.add_argument("--classes", nargs="+", metavar="NAME", help="in order (default: all, sorted)")
    about = options.add_argument_group("what is known about the source, in place of what its reader says")
    about.add_argument("--device", metavar="TEXT", help="how attention was measured")
    about.add_argument("--license", metavar="TEXT", help="of the annotations, such as 'CC BY 4.0'")
    about.add_argument(
        "--pixels-per-degree",
        type=float,
        metavar="N",
        help="pixels in a degree of visual angle: of the screen if there is one (--screen), otherwise of the "
        "image as it was measured",
    )
    about.add_argument(
        "--sigma", type=float, metavar="RATIO", help="of the blur around a fixation, of the image's width"
    )
    about.add_argument(
        "--do-not-pass-on",
        dest="refusal",
        metavar="REASON",
        help="says so in each row and on the card; --push-to-hub is then refused",
    )
    if reader.add_options is not None:
        reader.add_options(options.add_argument_group("options of this source"))
    given = options.parse_args(argv)
    stated = {each: getattr(given, each) for each in STATED}
    with boundary("error", given.debug):
        source = reader.source.stated(**stated)
        if given.push_to_hub is not None:
            source.require_may_be_passed_on("--push-to-hub")
    given.config = "full" if given.images is not None or reader.source.brings_images else "byproducts"
    own = {each: getattr(given, each) for each in reader.option_names()}

    def build(out: Any, **arguments: Any) -> Any:
        from luab_attention.converting import convert

        arguments.pop("config")
        return convert(out, name, options=own, stated=stated, **arguments)

    shared = ("path", "images", "images_split", "images_config", "boxes", "boxes_reader", "classes")
    run(given, build, *shared)
