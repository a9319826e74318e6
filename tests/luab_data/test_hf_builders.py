"""`datasets` has what `luab_data/adapters/hf_builders.py` replaces in it."""

import inspect

import pytest
from datasets import DownloadConfig, DownloadManager, StreamingDownloadManager
from datasets.packaged_modules.csv.csv import Csv
from datasets.packaged_modules.folder_based_builder.folder_based_builder import FolderBasedBuilder
from datasets.packaged_modules.json.json import Json
from datasets.packaged_modules.webdataset.webdataset import WebDataset

from luab_data.adapters.hf_builders import config_of, with_names

CHANGED = (
    "datasets changed {what}: read the new code, change luab_data/adapters/hf_builders.py and "
    "luab_data/rows/formats/, and raise the bound of datasets in setup.cfg."
)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (
            Json._generate_tables,
            {"open", "paj", "find_mixed_struct_types_field_paths", "insert_json_field_path"},
        ),
        (Csv._generate_tables, {"pd"}),
        (FolderBasedBuilder._read_metadata, {"open", "pd", "paj"}),
    ],
)
def test_files_are_opened_through_these_names(function, names):
    assert names <= set(function.__code__.co_names), CHANGED.format(what=function.__qualname__)


def test_a_folder_of_images_is_read_from_these():
    found = list(inspect.signature(FolderBasedBuilder._generate_examples).parameters)
    expected = ["self", "files", "metadata_files", "add_metadata", "add_labels"]
    assert found == expected, CHANGED.format(what="FolderBasedBuilder._generate_examples")


def test_a_name_that_is_not_used_is_an_error():
    with pytest.raises(AttributeError, match="nonsense"):
        with_names(Csv._generate_tables, nonsense=1)


def test_a_tar_is_read_from_an_iterator():
    found = list(inspect.signature(WebDataset._get_pipeline_from_tar).parameters)
    assert found == ["tar_path", "tar_iterator"], CHANGED.format(what="WebDataset._get_pipeline_from_tar")


def test_the_iterator_knows_how_to_reach_the_tar():
    config = DownloadConfig(token="a")
    files = StreamingDownloadManager(download_config=config).iter_archive("a.tar")
    assert config_of(files) is config, CHANGED.format(what="iter_archive")
    assert config_of(DownloadManager().iter_archive("a.tar")) is None
