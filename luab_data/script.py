"""The options and the final steps that the loading scripts share."""

import _thread
import argparse
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from luab_data.build.dataset_folder import ROWS_PER_SHARD
from luab_data.build.manifest import Manifest
from luab_data.build.raw import FULL, configuration
from luab_data.build.workers import ENGINES, LOCAL
from luab_data.console.boundary import boundary
from luab_data.console.disk import full_disk_explained
from luab_data.console.options import CommandParser
from luab_data.console.text import printable_lines
from luab_data.errors import SourceError
from luab_data.hub.publish import Release
from luab_data.images.pillow import JPEG_QUALITY

GO_ON = "Free some and run the same command again: it resumes where it stopped."


def build_options(prog: str | None, description: str, configurations: bool = True) -> argparse.ArgumentParser:
    """A parser with the options of every build; a script adds the options for its raw files.

    `configurations`: with `--config`, for datasets that can be built with and without their images.
    """
    parser = CommandParser(prog, description, allow_abbrev=False)
    parser.add_argument(
        "--output-dir", "--out", type=Path, required=True, metavar="OUT", help="folder to write"
    )
    if configurations:
        parser.add_argument(
            "--config",
            type=configuration,
            choices=list(ROWS_PER_SHARD),
            default=FULL,
            help="byproducts: rows without images",
        )
    parser.add_argument(
        "--max-side",
        type=int,
        metavar="PIXELS",
        help=f"shrink larger images, as JPEG of quality {JPEG_QUALITY}",
    )
    parser.add_argument(
        "--num-proc", type=int, metavar="N", help="workers (default: 1; with ray: all CPUs of the cluster)"
    )
    parser.add_argument(
        "--engine", choices=ENGINES, default=LOCAL, help="ray: workers on the machines of a Ray cluster"
    )
    parser.add_argument(
        "--ray-address",
        metavar="HOST:PORT",
        help="address of the cluster, or auto (default: $RAY_ADDRESS, else a new cluster on this machine)",
    )
    parser.add_argument(
        "--rows-per-shard",
        type=int,
        metavar="N",
        help="rows per Parquet file (default: 1000; 50000 without images)",
    )
    parser.add_argument(
        "--push-to-hub",
        metavar="ID",
        help="upload each finished shard to this dataset repository, and delete it from OUT",
    )
    parser.add_argument("--keep-shards", action="store_true", help="keep uploaded shards in OUT")
    visibility = parser.add_mutually_exclusive_group()
    visibility.add_argument("--private", action="store_true", help="a private repository (the default)")
    visibility.add_argument("--public", action="store_true", help="a public repository")
    parser.add_argument(
        "--i-may-publish-the-images",
        action="store_true",
        help="allow --public with images: you confirm your right to redistribute them",
    )
    return parser


def run(arguments: argparse.Namespace, build: Callable[..., Manifest], *own: str) -> None:
    """Builds, reports, and uploads if requested. `own` names the arguments that only this dataset has.

    Ends the process with one line on stderr for every error.
    """
    names = ("config", "max_side", "num_proc", "engine", "ray_address", "rows_per_shard", *own)
    out: Path = arguments.output_dir
    given = {name: getattr(arguments, name) for name in names}
    with (
        boundary("error", arguments.debug),
        _every_interrupt_counts(),
        full_disk_explained(out, GO_ON),
        _release(arguments) as release,
    ):
        manifest = build(out, **given, store=release)
        print(printable_lines(manifest.report()))
        if release is not None:
            version = release.finish(out, manifest)
            print(f"{release.address}: version {version}")
        if all((out / name).exists() for name in manifest.shards):
            print(f"{out}: open it with datasets.load_dataset({str(out)!r})")


@contextmanager
def _every_interrupt_counts() -> Iterator[None]:
    """Sends a Ctrl-C again if Python ignored it.

    Python ignores a Ctrl-C that arrives while it deletes an object, which happens after each shard.
    """

    def hook(ignored: "sys.UnraisableHookArgs") -> None:
        if issubclass(ignored.exc_type, KeyboardInterrupt):
            threading.Timer(0.01, _thread.interrupt_main).start()  # sent now it would be ignored again
        else:
            before(ignored)

    before, sys.unraisablehook = sys.unraisablehook, hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _release(arguments: argparse.Namespace) -> AbstractContextManager[Release | None]:
    if arguments.push_to_hub is None:
        for option in ("public", "private", "keep_shards", "i_may_publish_the_images"):
            if getattr(arguments, option):
                raise SourceError(f"--{option.replace('_', '-')} goes with --push-to-hub.")
        return nullcontext()
    return Release(
        arguments.push_to_hub,
        public=arguments.public,
        private=arguments.private,
        config=arguments.config,
        may_publish_images=arguments.i_may_publish_the_images,
        keep=arguments.keep_shards,
    )
