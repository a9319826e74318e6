"""Raw ImageNet-AB -> a dataset folder that `datasets.load_dataset(OUT)` opens anywhere, without our code.

    %(prog)s --images IMAGES --byproducts imagenet_ab_v1_0.tar.gz --output-dir OUT

IMAGES is a folder <wnid>/*.JPEG, ILSVRC2012_img_train.tar (never unpacked), or the id of a dataset on the
Hub. OUT gets Parquet shards with the image bytes, a dataset card, summary.json, and rejects.jsonl with the
rejected entries and their reasons. After an interruption, run it again to resume.
"""

from imagenet_ab.build import build_imagenet_ab
from luab_data.script import build_options, run


def main(argv: list[str] | None = None, prog: str | None = None) -> None:
    """`loading_scripts/imagenet_ab.py`, or `luab build imagenet_ab`."""
    parser = build_options(prog, __doc__)
    parser.add_argument(
        "--images", help="folder, tar of tars, or Hub id (default: ILSVRC/imagenet-1k, gated)"
    )
    parser.add_argument(
        "--byproducts", help="archive, unpacked folder, or Hub id (default: coallaoh/ImageNet-AB)"
    )
    parser.add_argument(
        "--classes", nargs="+", metavar="WNID", help="only these classes, labeled from 0 in ImageNet's order"
    )
    run(parser.parse_args(argv), build_imagenet_ab, "images", "byproducts", "classes")
