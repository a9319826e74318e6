"""`datasets` has what `luab_data/adapters/hf_datasets.py` reads and replaces in it."""

import inspect

import datasets
import datasets.load
import numpy as np
from datasets.load import DatasetModule, PackagedDatasetModuleFactory
from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES
from datasets.packaged_modules.arrow.arrow import Arrow
from datasets.packaged_modules.parquet.parquet import Parquet

from luab_data.adapters.hf_datasets import builders_from, fingerprint_of, stored_order

CHANGED = (
    "datasets changed {what}: read the new code, change luab_data/adapters/hf_datasets.py, and raise the "
    "bound of datasets in setup.cfg."
)
PARQUET = "datasets.packaged_modules.parquet.parquet"


def test_the_table_of_builders_maps_names_to_modules_and_hashes():
    module, code_hash = _PACKAGED_DATASETS_MODULES["parquet"]
    assert module == PARQUET and isinstance(code_hash, str), CHANGED.format(what="_PACKAGED_DATASETS_MODULES")


def test_the_factory_takes_what_it_took():
    factory = next(
        cls for cls in datasets.load.PackagedDatasetModuleFactory.__mro__ if cls.__module__ == "datasets.load"
    )
    found = list(inspect.signature(factory.__init__).parameters)[1:]
    wanted = ["name", "data_dir", "data_files", "download_config", "download_mode"]
    assert found == wanted, CHANGED.format(what="PackagedDatasetModuleFactory")
    module = list(inspect.signature(DatasetModule).parameters)[:3]
    assert module == ["module_path", "hash", "builder_kwargs"], CHANGED.format(what="DatasetModule")
    assert "PackagedDatasetModuleFactory(" in inspect.getsource(datasets.load.dataset_module_factory), (
        CHANGED.format(what="who makes the factory of a packaged module")
    )
    assert issubclass(PackagedDatasetModuleFactory, factory)


def test_builders_of_the_library_are_found_as_before(tmp_path, monkeypatch):
    import imagenet_ab  # noqa: F401 (registers its builder)

    datasets.Dataset.from_dict({"a": [1, 2]}).to_parquet(tmp_path / "rows.parquet")
    rows = datasets.load_dataset(
        "parquet", data_dir=str(tmp_path), split="train", cache_dir=tmp_path / "cache"
    )
    assert rows["a"] == [1, 2]


def test_other_modules_may_build_for_a_time():
    before = _PACKAGED_DATASETS_MODULES["parquet"]
    with builders_from(lambda name: f"somewhere.{name}"):
        assert _PACKAGED_DATASETS_MODULES["parquet"] == ("somewhere.parquet", before[1])
    assert _PACKAGED_DATASETS_MODULES["parquet"] == before


def test_the_builder_of_arrow_casts_tables():
    assert list(inspect.signature(Arrow._cast_table).parameters) == ["self", "pa_table"], CHANGED.format(
        what="Arrow._cast_table"
    )


def test_the_builder_of_parquet_casts_tables_and_generates_them_from_files():
    assert list(inspect.signature(Parquet._cast_table).parameters) == ["self", "pa_table"], CHANGED.format(
        what="Parquet._cast_table"
    )
    wanted = ["self", "files", "row_groups_list"]
    found = list(inspect.signature(Parquet._generate_tables).parameters)
    assert found == wanted, CHANGED.format(what="Parquet._generate_tables")


def test_the_order_of_stored_rows():
    rows = datasets.Dataset.from_dict({"a": [10, 11, 12, 13]})
    assert stored_order(rows) is None, CHANGED.format(what="Dataset._indices")
    chosen = rows.select([3, 0, 2])
    stored = rows.data.column("a").to_numpy()
    np.testing.assert_array_equal(stored[stored_order(chosen)], [13, 10, 12])
    assert stored_order(chosen.flatten_indices()) is None


def test_a_fingerprint_is_of_the_content():
    rows = datasets.Dataset.from_dict({"a": [1, 2]})
    assert fingerprint_of(rows) != fingerprint_of(rows.select([1])), CHANGED.format(
        what="Dataset._fingerprint"
    )
    assert fingerprint_of(rows.select([1])) == fingerprint_of(rows.select([1]))
