"""Let simulated annotators do the work, over HTTP: to try a project, and to test the load.

    luab collect simulate trial --annotators 20
    luab collect simulate trial --annotators 200 --pages 2 --speed 1 --json load.json
    luab collect simulate trial --careless 0.1 --centers 0.05 --bots 0.05 --dropouts 0.1
    luab collect simulate trial --url http://127.0.0.1:8000

Each annotator enters with a link, consents, works page after page, and uploads what happened, 60 times a
second, in batches of 2 s. The command starts a server of its own, unless there is --url. Simulated work is
kept like any other: use a project of its own. An image shows what --boxes or the project's gold says, else
the class whose candidate it is.
"""

import argparse
import math
from pathlib import Path
from urllib.parse import urlsplit

from luab_data.errors import SourceError


def add_options(options: argparse.ArgumentParser) -> None:
    """The command's options."""
    add = options.add_argument
    add("project", type=Path, metavar="PROJECT", help="folder that `luab collect init` made")
    add("--annotators", type=int, default=20, metavar="N", help="number of annotators (default: %(default)s)")
    add("--pages", type=int, metavar="N", help="pages an annotator does (default: until none are left)")
    add(
        "--speed",
        type=float,
        default=math.inf,
        metavar="X",
        help="seconds of work in a second; 1: real time (default: as fast as the server answers)",
    )
    add("--careless", type=float, default=0.0, metavar="SHARE", help="answer by chance, and click anywhere")
    add("--centers", type=float, default=0.0, metavar="SHARE", help="click on the images' centers")
    add("--bots", type=float, default=0.0, metavar="SHARE", help="programs that repeat one trace")
    add("--dropouts", type=float, default=0.0, metavar="SHARE", help="leave in the middle of a page")
    add("--boxes", type=Path, metavar="CSV", help="what the images show, like the gold file")
    add("--no-images", action="store_true", help="do not load the images")
    add("--seed", type=int, default=0, help="decides what the annotators do (default: %(default)s)")
    add("--url", metavar="URL", help="a server of this project, such as http://127.0.0.1:8000")
    add("--json", type=Path, metavar="FILE", help="write the figures there")


def run(given: argparse.Namespace) -> int:
    """Simulates and reports; 1: something was lost, or an annotator gave up.

    Raises:
        SourceError: options that do not fit; a server that does not answer.
    """
    from luab_collect.project import Project
    from luab_collect.simulate.client import Pace
    from luab_collect.simulate.people import KINDS, crowd
    from luab_collect.simulate.run import read_truth, simulate
    from luab_collect.simulate.server import running
    from luab_collect.store.opening import ProjectStore
    from luab_data.files.whole import write_json

    if not given.speed > 0:
        raise SourceError(f"--speed is {given.speed}; it must be more than 0.")
    if given.pages is not None and given.pages < 1:
        raise SourceError(f"--pages is {given.pages}; it must be 1 or more.")
    if given.seed < 0:
        raise SourceError(f"--seed is {given.seed}; it must be 0 or more.")
    shares = {kind: getattr(given, option.removeprefix("--")) for kind, option in KINDS.items()}
    url = None if given.url is None else _server(given.url)
    people = crowd(given.annotators, shares, given.seed)
    store = ProjectStore(Project.read(given.project))
    truth = read_truth(store.project, given.boxes)
    pace = Pace(given.speed, not given.no_images, given.pages)
    # In real time not all come at once, so that not all upload at once.
    spread = 2.0 / given.speed
    try:
        if url is not None:
            done = simulate(store, url, people, truth, pace, given.seed, spread)
        else:
            with running(given.project) as addresses:
                done = simulate(store, addresses.annotators, people, truth, pace, given.seed, spread)
    finally:
        store.close()
    print("\n".join(done.lines()))
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(given.json, done.to_json())
        print(f"all figures in {given.json}")
    return 0 if done.complete else 1


def _server(url: str) -> str:
    """`http://HOST:PORT` of an address as `luab collect serve` prints it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/", "/work"):
        raise SourceError(
            f"--url is {url!r}; it must be like http://127.0.0.1:8000, as `luab collect serve` prints it."
        )
    return f"{parts.scheme}://{parts.netloc}"
