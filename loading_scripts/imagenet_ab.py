"""Raw ImageNet-AB -> a dataset folder that `datasets.load_dataset(OUT)` opens anywhere, with no code of ours.

    python loading_scripts/imagenet_ab.py --images IMAGES --byproducts imagenet_ab_v1_0.tar.gz --out OUT

IMAGES is a folder <wnid>/*.JPEG, ILSVRC2012_img_train.tar (never unpacked), or the id of a dataset on the
Hub. OUT gets Parquet shards with the image bytes, a dataset card, summary.json, and rejects.jsonl: what
could not be used, and why. Run it again after an interruption: it goes on where it stopped.
"""

import sys
from pathlib import Path

# This file has the name of the package that it uses, and Python puts a script's own folder first.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from imagenet_ab.build import build_imagenet_ab  # noqa: E402
from luab_data.script import build_options, run  # noqa: E402


def main() -> None:
    parser = build_options(__doc__)
    parser.add_argument(
        "--images", help="folder, tar of tars, or Hub id (default: ILSVRC/imagenet-1k, gated)"
    )
    parser.add_argument(
        "--byproducts", help="archive, unpacked folder, or Hub id (default: coallaoh/ImageNet-AB)"
    )
    parser.add_argument("--classes", nargs="+", metavar="WNID", help="only these classes")
    run(parser.parse_args(), build_imagenet_ab, "images", "byproducts", "classes")


if __name__ == "__main__":
    main()
