"""How fast, and in how much memory, is COCO-AB's byproduct file read? Ours against `json.load` and rows.

    python benchmarks/coco_json.py [--megabytes 398] [--repeats 5] [--json FILE]

Generates a file of the released size in the released layout (simulated annotators), then reads it in
alternation, each time in a fresh process, in two ways that end alike (three with --msgspec): records in the
dataset's names, looked up by image id.

    ours        coco_ab.byproducts.Byproducts: pieces of the file to Arrow, checked column by column
    json.load   the file to Python objects, each record renamed to a row; nothing is checked
    msgspec     the file to structs, each field checked, in the released names; only with --msgspec, for which
                msgspec has to be installed: docs/architecture.md says why the readers do not use it

Prints the medians of CPU and wall time, the ratio of each pair of runs with its spread, and the peak resident
memory of a process, and writes all of it as JSON.
"""

import itertools
import json
import sys
import tempfile
from pathlib import Path

from measuring import alternate, in_fresh_process, options, report, warm

RECORDS = 2000  # different ones; the file repeats them under new image ids
TRACED = 0.4  # share of the records with a cursor track; 398 MB then hold about as many records as released


def write_file(path: Path, megabytes: float) -> int:
    """A byproduct file of this size. Returns the number of records."""
    import numpy as np

    from coco_ab.simulate.annotators import CocoAnnotators, annotate
    from coco_ab.simulate.images import draw

    rng = np.random.default_rng(0)
    records = []
    for _ in range(RECORDS // 10):
        _, objects = draw(96, 72, rng)
        records += [annotate(0, objects, 640, 480, rng, CocoAnnotators(traced=TRACED)) for _ in range(10)]
    texts = [json.dumps(record)[len('{"image_id": 0') :] for record in records]
    size, count = 1, 0
    with path.open("w") as file:
        file.write("[")
        for count, text in enumerate(itertools.cycle(texts), start=1):
            entry = f'{", " if count > 1 else ""}{{"image_id": {count}{text}'
            file.write(entry)
            size += len(entry)
            if size >= megabytes * 1e6:
                break
        file.write("]")
    return count


def read_ours(path: Path):
    from coco_ab.byproducts import Byproducts
    from coco_ab.images import name_of

    def job():
        source = Byproducts(path)
        return lambda: _summary(source.get(name_of(7)))

    return job


def read_json(path: Path):
    from coco_ab.json_types import snake_case

    names = {}  # the same few names come back millions of times

    def row(value):
        if isinstance(value, dict):
            return {
                names.get(key) or names.setdefault(key, snake_case(key)): row(each)
                for key, each in value.items()
            }
        return [row(each) for each in value] if isinstance(value, list) else value

    def job():
        rows: dict[int, list[dict]] = {}
        with path.open() as file:
            for record in json.load(file):
                fields = row(record)
                rows.setdefault(fields.pop("image_id"), []).append(fields)
        return lambda: _summary(rows[7])

    return job


def read_msgspec(path: Path):
    from typing import Annotated, Literal

    import msgspec

    def number(kind: type, low: float, high: float):
        return Annotated[kind, msgspec.Meta(ge=low, le=high)] | None

    def struct(name: str, required: dict, optional: dict):
        fields = [*required.items(), *((key, kind, None) for key, kind in optional.items())]
        return msgspec.defstruct(name, fields, gc=False)

    size, time, text = number(int, 0, 2**31 - 1), number(int, 0, 10**14), str | None
    point = struct("Point", dict.fromkeys("xy", number(float, -0.5, 1.5)), {})
    cursor = struct("Cursor", dict.fromkeys("xy", number(float, -10, 10)), {"timeAt": time})
    kinds = {"actionType": Literal["add", "move", "remove"], "iconType": str}
    places = {"pointFrom": point | None, "pointTo": point | None}
    action = struct("Action", kinds, {**places, "timeAt": time})
    page = {"categoryIndex": size, "categoryName": text, "timeAt": time, "usingKeyboard": bool | None}
    record = {
        **dict.fromkeys(["originalImageHeight", "originalImageWidth", "imageHeight", "imageWidth"], size),
        "actionHistories": list[action] | None,
        "categoryHistories": list[struct("Page", {}, page)] | None,
        "mouseTracking": list[cursor] | None,
        "timeSpent": time,
        **dict.fromkeys(["worker_id", "hit_id"], text),
        "page_id": size,
    }
    decoder = msgspec.json.Decoder(list[struct("Record", {"image_id": int}, record)])

    def job():
        rows: dict[int, list] = {}
        for each in decoder.decode(path.read_bytes()):
            rows.setdefault(each.image_id, []).append(each)
        return lambda: {"actions_of_record_7": len(rows[7][0].actionHistories)}

    return job


def _summary(records: list[dict]) -> dict[str, int]:
    [record] = records
    return {"actions_of_record_7": len(record["action_histories"])}


WAYS = {"ours": read_ours, "json.load": read_json}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument(
        "--megabytes", type=float, default=398, help="size of the file (default: %(default)s)"
    )
    parser.add_argument("--msgspec", action="store_true", help="msgspec as well")
    arguments = parser.parse_args()
    ways = WAYS | ({"msgspec": read_msgspec} if arguments.msgspec else {})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coco_ab_v1_0.json"
        records = in_fresh_process(write_file, path, arguments.megabytes)
        print(f"{path.stat().st_size / 1e6:.0f} MB, {records:,} records")
        warm(path)
        runs = alternate(ways, (path,), arguments.repeats)
    seen = {run["actions_of_record_7"] for each in runs.values() for run in each}
    if len(seen) > 1:
        sys.exit(f"the ways disagree on record 7: {seen} actions")
    facts = {"megabytes": arguments.megabytes, "records": records}
    report(runs, [("ours", other) for other in list(ways)[1:]], facts, arguments.json)


if __name__ == "__main__":
    main()
