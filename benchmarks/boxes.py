"""How fast are the boxes of score maps evaluated, for MaxBoxAcc? Ours against the authors' way with OpenCV.

    python benchmarks/boxes.py [--maps 20] [--repeats 5] [--json FILE]

Random maps of the sizes that models give (4 x 4 to 32 x 32), resized to 224 x 224, at 1,000 thresholds. Both
ways live in one process, in turn, and are checked to end alike.

    ours        BoxAccuracy.hits_of: one pass over a map for all thresholds, and one for its holes
    opencv      cv2.threshold, cv2.findContours, cv2.boundingRect and cv2.contourArea for each threshold
    distinct    the same for each mask only once: at most 255 of the thresholds differ on an 8-bit map

Needs opencv-python-headless (`make env` installs it). The first call, which compiles, is not counted.
"""

import sys
from functools import partial

from measuring import in_turn, options, report

SIDES = (4, 8, 14, 32)  # of maps: cells
WIDTH, HEIGHT, BOXES = 300, 260, [[30, 40, 200, 220]]  # pixels


def by_opencv(scores, thresholds, distinct: bool):
    """[4, thresholds / 8] uint8, as `BoxAccuracy.hits_of`."""
    import cv2
    import numpy as np

    from luab_eval.metrics.max_box_acc.iou import iou
    from luab_eval.metrics.max_box_acc.max_box_acc import IOUS

    cam = cv2.resize(scores, (224, 224), interpolation=cv2.INTER_CUBIC)
    cam = cam - cam.min()
    gray = (cam / cam.max() * 255).astype(np.uint8)
    real = (np.array(BOXES) * 224 / [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(int)
    known, rows = {}, []
    for threshold in thresholds:
        t = int(threshold * gray.max())
        if t not in known or not distinct:
            _, mask = cv2.threshold(gray, t, 255, cv2.THRESH_BINARY)
            contours = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
            corners = [cv2.boundingRect(contour) for contour in contours]
            corners = np.array([(x, y, min(x + w, 223), min(y + h, 223)) for x, y, w, h in corners])
            ious = iou(corners, real).max(axis=1)
            largest = np.argmax([cv2.contourArea(contour) for contour in contours])
            known[t] = [ious[largest] >= 0.5, *(ious.max() >= each for each in IOUS)]
        rows.append(known[t])
    return np.packbits(np.array(rows).T, axis=1)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--maps", type=int, default=20, help="maps of each size (default: %(default)s)")
    arguments = parser.parse_args()

    import numpy as np

    from luab_eval.metrics.max_box_acc.max_box_acc import BoxAccuracy

    accuracy, rng = BoxAccuracy(), np.random.default_rng(0)
    ways = {
        "ours": lambda scores: accuracy.hits_of(scores, BOXES, WIDTH, HEIGHT),
        "distinct": lambda scores: by_opencv(scores, accuracy.thresholds, distinct=True),
        "opencv": lambda scores: by_opencv(scores, accuracy.thresholds, distinct=False),
    }
    maps = {side: list(rng.random((arguments.maps, side, side))) for side in SIDES}
    for scores in (scores for each in maps.values() for scores in each):
        if not np.array_equal(ways["ours"](scores), ways["distinct"](scores)):
            sys.exit(f"the ways disagree on a map of {len(scores)} x {len(scores)}")
    # Of the slow ways fewer maps: the times are those of one.
    counts = {"ours": arguments.maps, "distinct": min(3, arguments.maps), "opencv": 1}
    jobs = {
        f"{name} {side}": partial(each_of, way, maps[side][: counts[name]])
        for side in SIDES
        for name, way in ways.items()
    }
    runs = in_turn(jobs, arguments.repeats)
    for name, each in runs.items():
        for run in each:
            run.update({key: seconds / counts[name.split()[0]] for key, seconds in run.items()})
    pairs = [(f"ours {side}", f"{name} {side}") for side in SIDES for name in ("distinct", "opencv")]
    report(runs, pairs, {"maps": arguments.maps}, arguments.json)


def each_of(way, maps) -> None:
    for scores in maps:
        way(scores)


if __name__ == "__main__":
    main()
