"""Write what was collected as a dataset that trains, and in the layouts of the released files.

    luab collect export shop --out data/shop
    luab train --dataset data/shop ...

Exported is work that was submitted and that no person rejected; not the work of annotators who withdrew. A
class is a label if more than half of the annotators who were asked say that the image shows it.

  plain     own images and classes: `image`, `label` and `click` (or `labels` and `points`), `annotations`
  imagenet  `raw/imagenet_ab_v1_0.tar.gz`, and the columns of `luab build imagenet_ab`
  coco      `raw/coco_ab_v1_0.json`, and the columns of `luab build coco_ab`

All have a column `collected` with what the released files have no place for. An earlier export in DIR is
replaced when the new one is complete.
"""

import argparse
from pathlib import Path


def add_options(options: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = options.add_argument
    add("project", type=Path, metavar="PROJECT", help="folder that `luab collect init` made")
    add("--out", "--output-dir", dest="out", type=Path, required=True, metavar="DIR", help="dataset folder")
    add(
        "--layout",
        choices=("plain", "imagenet", "coco"),
        default="plain",
        help="columns and released files (default: %(default)s)",
    )
    add(
        "--accepted-only",
        action="store_true",
        help="leave out work that nobody has accepted (default: leave out what somebody rejected)",
    )


def run(options: argparse.Namespace) -> None:
    """Exports and prints what was written."""
    from luab_collect.export.run import export
    from luab_collect.project import Project
    from luab_collect.store.opening import ProjectStore
    from luab_collect.store.results import stored_work

    store = ProjectStore(Project.read(options.project))
    try:
        with store.reading() as connection:
            works = stored_work(connection)
            lines = export(store.project, works, options.out, options.layout, options.accepted_only)
    finally:
        store.close()
    print("\n".join(lines))
    print(f"{options.out}: luab train --dataset {options.out} ...")
