"""setup.cfg asks for exactly what the packages import, in the core or in the extra that has it."""

import ast
import subprocess
import sys
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path

from fixtures.small_runs import options, write_config, write_splits
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from luab_data.console.missing import EXTRAS

ROOT = Path(__file__).parents[2]
PACKAGES = {path.parent.name for path in ROOT.glob("*/py.typed")}
# Which extras the code of a package may need; what needs none of them is the core.
ALLOWED = {
    "luab": {"app", "collect", "eval"},
    "luab_attention": {"eval"},
    "luab_collect": {"collect"},
    "luab_eval": {"eval", "timm"},
    "luab_trainer": {"eval", "peft", "timm"},
    "luab_data": {"ray"},
}
# Run without the extras: what they bring is hidden before anything is imported.
WITHOUT = "import sys; sys.modules.update(dict.fromkeys({names}))\n"


def declared():
    """The core ("") and each extra -> names of distributions."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    texts = {"": config["options"]["install_requires"]}
    texts |= {name: config["options.extras_require"][name] for name in EXTRAS}
    return {
        name: {canonicalize_name(Requirement(line).name) for line in text.splitlines() if line.strip()}
        for name, text in texts.items()
    }


def imported():
    """(package, file, distribution) of each import of another library."""
    distributions = packages_distributions()
    for package in sorted(PACKAGES):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module]
                for module in {name.partition(".")[0] for name in names} - PACKAGES - sys.stdlib_module_names:
                    distribution = distributions.get(module, [module])[0]
                    yield package, path.relative_to(ROOT), canonicalize_name(distribution)


def test_each_import_is_declared():
    known = declared()
    wrong = [
        f"{path} imports {distribution}"
        for package, path, distribution in imported()
        if not any(distribution in known[name] for name in ("", *ALLOWED.get(package, ())))
    ]
    assert not wrong, "declare it in setup.cfg, in the core or in an extra:\n" + "\n".join(wrong)


def test_each_declared_package_is_imported():
    used = {distribution for _, _, distribution in imported()}
    unused = set().union(*declared().values()) - used
    assert not unused, f"setup.cfg asks for what nothing imports: {', '.join(sorted(unused))}"


def test_the_extras_are_those_that_commands_ask_for():
    distributions = packages_distributions()
    for extra, modules in EXTRAS.items():
        found = {canonicalize_name(distributions.get(module, [module])[0]) for module in modules}
        assert found == declared()[extra], f"luab_data/console/missing.py and setup.cfg differ on {extra!r}"


def without_extras(code, *arguments):
    hidden = sorted({module for modules in EXTRAS.values() for module in modules})
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(names=hidden) + code, *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_loading_needs_no_extra(tmp_path):
    code = (
        "import sys, datasets, coco_ab, imagenet_ab\n"
        "for name in ('coco_ab', 'imagenet_ab'):\n"
        "    datasets.load_dataset(name, cache_dir=sys.argv[1])"
    )
    without_extras(code, tmp_path)


def test_training_needs_no_extra(tmp_path):
    """With its help, the pointing game, and the metrics of several labels: one process for the imports."""
    data = write_splits(tmp_path / "data", train=8, validation=4)
    command = options(
        write_config(tmp_path / "config"), data, tmp_path / "out", do_eval=True, loss="attention"
    )
    code = (
        "import contextlib, sys\n"
        "from luab.cli import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main(['train', '--help'])\n"
        "print('The end of the help.')\n"
        "status = main(['train', *sys.argv[1:]])\n"
        "import numpy as np; from transformers import EvalPrediction\n"
        "from luab_trainer.metrics.multi_label import MultiLabelMetrics\n"
        "print(MultiLabelMetrics()(EvalPrediction(np.eye(3), np.eye(3))))\n"
        "sys.exit(status)"
    )
    shown, _, printed = without_extras(code, *command).partition("The end of the help.")
    assert "usage: luab train" in shown
    assert "pointing_game" in printed and "f1_micro" in printed
