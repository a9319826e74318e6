"""Does `luab collect` keep up with 200 annotators, and what does group commit save?

    python benchmarks/collect.py [--annotators 200] [--pages 1] [--repeats 1] [--images] [--json FILE]

Simulated annotators (`luab collect simulate`) work in real time: 60 events a second each, uploaded every
2 s, against a server in a process of its own with SQLite (WAL, synchronous=FULL), on drawn images. They come
within 20 s. The first way is the server as it is: changes that wait are committed together. The other one
differs in one number: each request has a commit of its own.

An acknowledgement is measured by the annotator, from the upload's start to its answer; both programs share
the machine. `server_s` is the server's CPU time. Nothing may be lost, or the benchmark ends with status 1.
`--images` loads the pages' images, too.
"""

import contextlib
import io
import resource
import sys
import tempfile
from functools import partial
from pathlib import Path

from measuring import alternate, options, report

GROUP = "group commit"
SINGLE = "one a request"
BEFORE = {GROUP: "", SINGLE: "import luab_collect.store.writer as w; w.MAX_GROUP = 1; "}
KEYS = ("ack_p50_s", "ack_p95_s", "server_s")
ARRIVAL_S = 20.0
SIDE = 64  # pixels of the drawn images
PER_PAGE = 48


def way(before: str, annotators: int, pages: int, images: bool, speed: float):
    """The job: all annotators' work. A project is made first, with its server's tables."""
    from luab_collect.simulate.client import Pace
    from luab_collect.simulate.people import crowd
    from luab_collect.simulate.run import read_truth, simulate
    from luab_collect.simulate.server import running
    from luab_collect.store.opening import ProjectStore

    folder = tempfile.TemporaryDirectory()
    project = write_project(Path(folder.name), annotators, pages)
    store = ProjectStore(project)
    truth = read_truth(project)
    people = crowd(annotators, {}, seed=0)

    def job():
        spent = _children()
        with running(project.folder, before) as addresses:
            arrival = ARRIVAL_S / speed
            done = simulate(
                store, addresses.annotators, people, truth, Pace(speed, images, pages), 0, arrival
            )
        server_s = _children() - spent
        store.close()
        folder.cleanup()
        figures = {
            "annotators": float(annotators),
            "pages": float(done.pages),
            "events": float(done.sent),
            "lost": float(done.sent - done.stored + sum(done.failures.values())),
            "events_per_s": done.sent / done.seconds,
            "ack_p50_s": done.ack_ms["p50"] / 1000,
            "ack_p95_s": done.ack_ms["p95"] / 1000,
            "ack_max_s": done.ack_ms["max"] / 1000,
            "sent_bytes": done.sent_bytes,
            "stored_bytes": done.stored_bytes,
            "server_s": server_s,
        }
        return lambda: figures

    return job


def write_project(folder: Path, annotators: int, pages: int):
    """A `select` project of drawn images, each page of which all annotators see."""
    import numpy as np
    from PIL import Image

    from luab_collect.setup import init_project

    rng = np.random.default_rng(0)
    (folder / "photos" / "thing").mkdir(parents=True)
    for number in range(pages * PER_PAGE):
        pixels = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / "thing" / f"{number:05}.jpg")
    (folder / "classes.txt").write_text("thing\n")
    with contextlib.redirect_stdout(io.StringIO()):
        made = init_project(
            folder / "shop",
            task="select",
            images=folder / "photos",
            classes=str(folder / "classes.txt"),
            overlap=annotators,
            pages_per_hit=pages,
        )
    return made[0]


def _children() -> float:
    """CPU seconds of the processes that this one has waited for: of the server, once it has ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = options(__doc__, repeats=1)
    parser.add_argument("--annotators", type=int, default=200)
    parser.add_argument("--pages", type=int, default=1, help="of 48 images, of each annotator")
    parser.add_argument("--images", action="store_true", help="load the pages' images")
    parser.add_argument("--speed", type=float, default=1.0, help="1: real time (default: %(default)s)")
    given = parser.parse_args()
    ways = {name: partial(way, before) for name, before in BEFORE.items()}
    arguments = (given.annotators, given.pages, given.images, given.speed)
    runs = alternate(ways, arguments, given.repeats)
    facts = {"benchmark": "collect", "annotators": given.annotators, "speed": given.speed}
    report(runs, [(GROUP, SINGLE)], facts, given.json, KEYS)
    for name, each in runs.items():
        worst = max(run["ack_p95_s"] for run in each)
        last = each[-1]
        print(
            f"{name}: {last['events']:,.0f} events of {given.annotators} annotators, "
            f"{last['events_per_s']:,.0f} a second; acknowledged after {last['ack_p50_s'] * 1000:.0f} ms "
            f"(p95 {worst * 1000:.0f} ms); {last['sent_bytes']:.0f} bytes an event sent, "
            f"{last['stored_bytes']:.1f} stored; lost: {sum(run['lost'] for run in each):.0f}"
        )
    if any(run["lost"] for each in runs.values() for run in each):
        sys.exit("Not all that was sent is there.")


if __name__ == "__main__":
    main()
