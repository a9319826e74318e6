"""Raw COCO-AB -> a dataset folder that `datasets.load_dataset(OUT)` opens anywhere, without our code.

    %(prog)s --images train2014.zip --instances instances_train2014.json \\
        --byproducts coco_ab_v1_0.json --output-dir OUT

OUT gets Parquet shards with the image bytes, labels, boxes and points, a dataset card, summary.json, and
rejects.jsonl with the rejected entries and their reasons. After an interruption, run it again to resume.
"""

from coco_ab.build import build_coco_ab
from coco_ab.points import DEFAULT_RULE, RULES
from luab_data.script import build_options, run


def main(argv: list[str] | None = None, prog: str | None = None) -> None:
    """`loading_scripts/coco_ab.py`, or `luab build coco_ab`."""
    parser = build_options(prog, __doc__)
    parser.add_argument("--images", help="folder train2014, or train2014.zip (never unpacked)")
    parser.add_argument("--instances", help="instances_train2014.json: COCO's labels and boxes")
    parser.add_argument(
        "--byproducts", help="coco_ab_v1_0.json, its folder, or Hub id (default: coallaoh/COCO-AB)"
    )
    parser.add_argument(
        "--rule", choices=list(RULES), default=DEFAULT_RULE, help="how an icon's history becomes a point"
    )
    run(parser.parse_args(argv), build_coco_ab, "images", "instances", "byproducts", "rule")
