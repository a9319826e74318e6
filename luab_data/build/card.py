"""The dataset card of a built folder: YAML for `load_dataset` and the Hub's viewer, and a page to read."""

from dataclasses import dataclass, field
from typing import Any

from datasets import DatasetInfo, Features, SplitDict, SplitInfo
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData

from luab_data.build.manifest import Manifest
from luab_data.constants import TRAIN

_SIZE_CATEGORIES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (float("inf"), "10M<n<100M"),
)

PATH_OR_ID = "PATH_OR_ID"  # placeholder in the card until the dataset has an id

_LOAD = f"""```python
from datasets import load_dataset

dataset = load_dataset("{PATH_OR_ID}", split="train")
```"""


PAPER = """@inproceedings{han2023neglected,
  title     = {Neglected Free Lunch -- Learning Image Classifiers Using Annotation Byproducts},
  author    = {Han, Dongyoon and Choe, Junsuk and Chun, Seonghyeok and Chung, John Joon Young and
               Chang, Minsuk and Yun, Sangdoo and Song, Jean Y. and Oh, Seong Joon},
  booktitle = {Proceedings of the IEEE/CVF International Conference on Computer Vision (ICCV)},
  year      = {2023}
}"""


@dataclass(frozen=True)
class CardText:
    """The texts of a dataset's card that are known before the build.

    `columns`: one line of Markdown for each column, in order.
    """

    pretty_name: str
    introduction: str
    columns: dict[str, str]
    provenance: str
    license: str
    citation: str
    # Further YAML: license, tags, task_categories, source_datasets.
    metadata: dict[str, Any] = field(default_factory=dict)


def dataset_card(text: CardText, config_name: str, features: Features, manifest: Manifest) -> str:
    """README.md of a folder with one configuration, whose shards are `data/train-*.parquet`."""
    parts = [
        f"---\n{_metadata(text, config_name, features, manifest)}\n---",
        f"# {text.pretty_name}",
        text.introduction,
        "## Load it",
        _LOAD,
        f"## What is in it\n\n{_counts(manifest)}",
        "Rejected entries and their reasons are in `rejects.jsonl`.",
        "## Columns\n\n" + "\n".join(f"* `{name}`: {line}" for name, line in text.columns.items()),
        f"## How it was made\n\n{text.provenance}\n\n{_arguments(manifest)}",
        f"## License\n\n{text.license}",
        f"## Citation\n\n```bibtex\n{text.citation.strip()}\n```",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _metadata(text: CardText, config_name: str, features: Features, manifest: Manifest) -> DatasetCardData:
    data = DatasetCardData(
        pretty_name=text.pretty_name,
        size_categories=next(name for limit, name in _SIZE_CATEGORIES if manifest.rows < limit),
        **text.metadata,
    )
    info = DatasetInfo(
        features=features,
        splits=SplitDict({TRAIN: SplitInfo(TRAIN, manifest.table_bytes, manifest.rows)}),
        download_size=manifest.file_bytes,
        dataset_size=manifest.table_bytes,
    )
    DatasetInfosDict({config_name: info}).to_dataset_card_data(data)
    files = [{"split": TRAIN, "path": f"data/{TRAIN}-*.parquet"}]
    MetadataConfigs({config_name: {"data_files": files}}).to_dataset_card_data(data)
    return data


def _counts(manifest: Manifest) -> str:
    lines = ["| | found | in rows | rejected | others, ignored |", "|---|---:|---:|---:|---:|"]
    for role in manifest.found:
        numbers = (manifest.found[role], manifest.used[role], manifest.rejected[role], manifest.ignored[role])
        lines.append(f"| {role} | " + " | ".join(f"{number:,}" for number in numbers) + " |")
    facts = [f"{name} {number:,}" for name, number in manifest.shown_facts().items()]
    return "\n".join(lines) + "\n\n" + "; ".join([f"{manifest.rows:,} rows", *facts]) + "."


def _arguments(manifest: Manifest) -> str:
    return "\n".join(f"* {name}: `{value}`" for name, value in manifest.arguments.items())
