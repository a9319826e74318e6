"""Show in the browser where classifiers look at an image, and the density of a click.

    luab app --model runs/vit-plain runs/vit
    luab app --model facebook/convnext-tiny-224 timm:resnet50.a1_in1k --port 8080

Needs Gradio: pip install 'luab[app]'. The page is for this machine only, unless --host says otherwise.
"""

from __future__ import annotations

import argparse

from luab.commands._models import add_model_option, required_models
from luab_data.console.boundary import guarded
from luab_data.console.missing import require_extra
from luab_data.console.options import CommandParser


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = CommandParser("luab app", __doc__)
    add = options.add_argument
    add_model_option(options)
    add("--device", default="cpu", help="cpu, cuda, cuda:1, mps (default: %(default)s)")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine only)")
    add("--port", type=int, help="default: the first free one from 7860 on")
    add("--browser", action="store_true", help="open the page")
    return options


@guarded("luab app")
def main(argv: list[str]) -> int:
    """Run the command until Ctrl-C; 1: it could not be, and stderr says why."""
    options = parser().parse_args(argv)
    models = required_models(options)
    if options.port is not None and not 1 <= options.port <= 65535:
        raise ValueError(f"--port {options.port}: a port, 1 to 65535")
    require_extra("app", "the page")
    from luab.app.page import build, launch
    from luab.models import load_models

    launch(build(load_models(models, options.device)), options.host, options.port, options.browser)
    return 0
