"""From a folder of images to a trained model, with 20 simulated annotators: the commands, one after another.

    python examples/collect.py [--output-dir runs/collect]

Draws images (shapes on backgrounds that mislead, as `luab demo` does), makes a project of them, lets
simulated annotators do the work over HTTP (two of them careless, one clicks on all centers, one is a
program), rejects those whom the rules propose, lets others do their pages, exports a dataset, trains a plain
and a LUAB classifier, and compares them. Where real people work, a person looks before she rejects, and
`luab collect serve` stands in the place of `luab collect simulate`.
"""

import argparse
import csv
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MARKER = ".luab-collect-demo"  # of a folder that this script made, and may delete
GOLD_SHARE = 10  # every tenth image's answer is known
TRAINING = (
    "--from_config", ROOT / "configs/models/vit-64.json", "--min_crop", "0.5", "--weight_decay", "0.05",
    "--learning_rate", "1e-3", "--lr_scheduler_type", "cosine", "--warmup_steps", "0.15",
    "--per_device_train_batch_size", "32", "--save_strategy", "no", "--report_to", "none",
    "--use_cpu", "True", "--disable_tqdm", "True", "--logging_steps", "1000",
)  # fmt: skip


def luab(*arguments: object, quiet: bool = False) -> None:
    """Shows a command and runs it."""
    words = [str(each) for each in arguments]
    print(f"\n$ luab {shlex.join(words)}", flush=True)
    hidden = subprocess.DEVNULL if quiet else None
    subprocess.run([sys.executable, "-m", "luab.cli", *words], check=True, stdout=hidden)


def draw(folder: Path, images_per_class: int, test_images_per_class: int) -> list[str]:
    """Images in class folders, what they show as CSV (`truth`, of which a tenth is gold), and the classes."""
    from imagenet_ab.simulate.images import CLASSES
    from imagenet_ab.simulate.release import write_release

    write_release(folder, 0, images_per_class, test_images_per_class)
    with (folder / "boxes_train.csv").open(newline="") as file:
        boxes = list(csv.DictReader(file))
    columns = ["file", "class", "present", "x0", "y0", "x1", "y1"]
    for name, step in (("truth", 1), ("gold", GOLD_SHARE)):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(columns)
            for line in boxes[::step]:
                shown = line["file"].split("/")[0]
                corners = [line[corner] for corner in columns[3:]]
                table.writerow([line["file"], shown, "yes", *corners])
                for other in CLASSES:  # it shows one class, and none of the others
                    if other != shown:
                        table.writerow([line["file"], other, "no", "", "", "", ""])
    (folder / "classes.txt").write_text("".join(f"{name}\ta {name}, pale, anywhere\n" for name in CLASSES))
    return list(CLASSES)


def collect(raw: Path, shop: Path, annotators: int) -> None:
    """A project, its work done by simulated annotators, and the worst of it done again."""
    init = ("--task", "select", "--images", raw / "images/train", "--classes", raw / "classes.txt")
    luab("collect", "init", shop, *init, "--gold", raw / "gold.csv")
    crowd = ("--annotators", annotators, "--careless", "0.1", "--centers", "0.05", "--bots", "0.05")
    luab("collect", "simulate", shop, "--boxes", raw / "truth.csv", *crowd)
    report = shop.parent / "review.json"
    luab("collect", "review", shop, "--json", report)
    found = json.loads(report.read_text(encoding="utf-8"))
    rejected = {each["annotator"]: each["reason"] for each in found["proposals"]}
    for annotator, reason in rejected.items():
        luab("collect", "review", shop, "--reject", annotator, "--reason", reason)
    if rejected:
        others = ("--annotators", 5, "--seed", 1)
        luab("collect", "simulate", shop, "--boxes", raw / "truth.csv", *others)
    luab("collect", "status", shop)


def main() -> None:
    """Runs all commands."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--output-dir", type=Path, default=Path("runs/collect"), help="folder, written anew")
    add("--annotators", type=int, default=20)
    add("--images-per-class", type=int, default=150, help="default: %(default)s")
    add("--test-images-per-class", type=int, default=50, help="default: %(default)s")
    add("--epochs", type=int, default=8, help="default: %(default)s")
    given = parser.parse_args()
    out = given.output_dir
    if any(out.glob("*")) and not (out / MARKER).is_file():
        sys.exit(f"{out} holds other files; pass another --output-dir")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / MARKER).touch()
    raw, shop, data = out / "raw", out / "shop", out / "data"
    draw(raw, given.images_per_class, given.test_images_per_class)
    collect(raw, shop, given.annotators)
    luab("collect", "export", shop, "--out", data)
    for name, loss in (("plain", "none"), ("luab", "attention")):
        training = (*TRAINING, "--num_train_epochs", given.epochs, "--loss", loss)
        luab("train", "--dataset", data, "--output_dir", out / name, *training, quiet=True)
    sets = ["folder:test=images/test", "folder:test_swapped=images/test_swapped"]
    sets.append("pointing_game:test_swapped=images/test_swapped:boxes_test_swapped.csv")
    models = ("--model", out / "plain", out / "luab", "--output-dir", out / "evaluation")
    luab("evaluate", "--data", raw, "--benchmarks", ",".join(sets), *models)


if __name__ == "__main__":
    main()
