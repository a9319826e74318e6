"""Make a project of a folder of images and a list of classes.

    luab collect init shop --task select --images photos --classes classes.txt
    luab collect init street --task place --images photos --classes coco

`select` asks which images show a class: class folders in `--images` say of which class an image may be.
`place` asks for an icon on each class that an image shows. The settings are in `shop/project.yaml`.
"""

import argparse
from pathlib import Path

from luab_data.console.text import counted


def add_options(options: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = options.add_argument
    add("project", type=Path, metavar="PROJECT", help="folder to make")
    add("--task", choices=("select", "place"), required=True)
    add("--images", type=Path, required=True, metavar="DIR", help="images, which stay where they are")
    add(
        "--classes",
        required=True,
        metavar="FILE",
        help="one class a line (after a tab: its definition); a CSV with name, definition, links, category, "
        "icon (a file beside the CSV, which is copied), folder, confusable; or `coco`: its 80 classes in 11 "
        "categories",
    )
    add(
        "--candidates",
        type=Path,
        metavar="CSV",
        help="`select`: file,class: of which classes an image may be (default: class folders; without them, "
        "all)",
    )
    add(
        "--gold",
        type=Path,
        metavar="CSV",
        help="file,class,present,x0,y0,x1,y1: images with a known answer; a class that is not named is "
        "unknown on `select`, not shown on `place`",
    )
    add("--name", help="shown to annotators (default: the folder's name)")
    add("--language", help="of the pages (default: en)")
    add("--overlap", type=int, metavar="N", help="annotators an image (default: 1)")
    add("--images-per-page", type=int, metavar="N", help="default: 48, with `place` 1")
    add("--pages-per-hit", type=int, metavar="N", help="of an assignment (default: 10, with `place` 20)")
    add("--seed", type=int, help="decides which images share a page (default: 0)")
    add("--database", metavar="URL", help="PostgreSQL's, say (default: SQLite in the project's folder)")


def run(options: argparse.Namespace) -> None:
    """Makes the project and prints what it holds."""
    from luab_collect.project import CONSENT, INSTRUCTIONS
    from luab_collect.setup import init_project

    given = {name: value for name, value in vars(options).items() if name not in ("project", "debug")}
    project, lines = init_project(options.project, **given)
    print(f"{project.folder}: {counted(len(project.classes), 'class', 'classes')}, task {project.task}")
    print("\n".join(lines))
    print(f"Next: read {project.folder / INSTRUCTIONS} and {CONSENT}, then")
    print(f"    luab collect people {options.project} add NAME ...   # a link for each annotator")
    print(f"    luab collect serve {options.project}")
