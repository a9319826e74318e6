"""Raw COCO-AB -> a dataset folder that `datasets.load_dataset(OUT)` opens anywhere, with no code of ours.

    python loading_scripts/coco_ab.py --images train2014.zip --instances instances_train2014.json \\
        --byproducts coco_ab_v1_0.json --out OUT

OUT gets Parquet shards with the image bytes, labels, boxes and points, a dataset card, summary.json, and
rejects.jsonl: what could not be used, and why. Run it again after an interruption: it goes on where it
stopped.
"""

import sys
from pathlib import Path

# This file has the name of the package that it uses, and Python puts a script's own folder first.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from coco_ab.build import build_coco_ab  # noqa: E402
from luab_data.script import build_options, run  # noqa: E402


def main() -> None:
    parser = build_options(__doc__)
    parser.add_argument("--images", help="folder train2014, or train2014.zip (never unpacked)")
    parser.add_argument("--instances", help="instances_train2014.json: COCO's labels and boxes")
    parser.add_argument(
        "--byproducts", help="coco_ab_v1_0.json, its folder, or Hub id (default: coallaoh/COCO-AB)"
    )
    parser.add_argument(
        "--rule", choices=["final", "authors"], default="final", help="how an icon's history becomes a point"
    )
    run(parser.parse_args(), build_coco_ab, "images", "instances", "byproducts", "rule")


if __name__ == "__main__":
    main()
