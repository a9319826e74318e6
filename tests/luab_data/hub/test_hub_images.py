"""ImageNet's images straight from their gated repository: joined by file name, in one pass."""

import io

import datasets
import pytest
from fixtures.factories import WNIDS, image_bytes, noise_image, raw_byproducts
from fixtures.hub.served import TOKEN

import imagenet_ab.build
from luab_data.errors import SourceError

GATED = "ILSVRC/imagenet-1k"
PER_CLASS = 12


IDS = [f"{wnid}_{number}" for number in range(PER_CLASS) for wnid in WNIDS]


@pytest.fixture(scope="module")
def shards():
    """Two Parquet files of images, by their paths in the repository."""
    shards = {}
    for number in range(2):
        own = IDS[number::2]
        images = [image_bytes(noise_image(400, 300, seed=k), "PNG") for k in range(len(own))]
        columns = {
            "image": [
                {"bytes": content, "path": f"{name}_{name.partition('_')[0]}.JPEG"}
                for content, name in zip(images, own, strict=True)
            ],
            "label": [0] * len(own),
        }
        types = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
        buffer = io.BytesIO()
        datasets.Dataset.from_dict(columns, features=types).to_parquet(buffer, batch_size=4)
        shards[f"data/train-0000{number}.parquet"] = buffer.getvalue()
    return shards


@pytest.fixture
def published(hub, shards, tmp_path):
    """Two shards of images, for those who accepted the terms; the byproducts, for everyone."""
    repository = hub.add("dataset", GATED, gated=True, accepted={"reader"})
    repository.add(**shards)
    xml = [f"{name.partition('_')[0]}/{name}" for name in IDS[1:]]
    archive = raw_byproducts(tmp_path / "ab.tar.gz", xml).read_bytes()
    hub.add("dataset", "coallaoh/ImageNet-AB").add(**{"imagenet_ab_v1_0.tar.gz": archive})
    return repository


def load(streaming):
    """ImageNet-AB with both default sources, as `load_dataset("imagenet_ab")` of the raw files has it."""
    rows = imagenet_ab.load_dataset(split="train", streaming=streaming)
    return [(row["image_id"], row["image"].size, row["click"] is not None) for row in rows]


@pytest.mark.parametrize("streaming", [True, False])
def test_one_pass_over_the_images(hub, clients, published, streaming):
    result = clients.call(load, streaming, token="hf_reader")
    assert result.status == 0, result.output
    assert len(result.value) == 2 * PER_CLASS
    assert {size for _, size, _ in result.value} == {(400, 300)}
    assert [image_id for image_id, _, clicked in result.value if not clicked] == [f"{WNIDS[0]}/{WNIDS[0]}_0"]
    for path, file in published.files.items():
        if file.lfs:
            sent, size = hub.sent[file.sha256], len(file.content)
            assert sent < 1.5 * size, f"{path}: {sent:,} bytes for {size:,}"


@pytest.mark.parametrize("token", [None, TOKEN])
def test_terms_that_are_not_accepted_name_the_page(hub, clients, published, token):
    result = clients.call(load, True, token=token)
    assert result.status == 1
    error = result.output.splitlines()[-1]
    assert f"images='{GATED}' is gated. Accept its terms at https://huggingface.co/datasets/{GATED}" in error
    assert "hf auth login" in error
    assert not hub.sent


def build_of(folder):
    return imagenet_ab.build.build_imagenet_ab(folder).arguments["images"]


def test_a_build_says_which_commit_its_images_are_of(hub, clients, published, tmp_path):
    """So that one that resumes does not mix two versions of a repository."""
    result = clients.call(build_of, tmp_path / "out", token="hf_reader")
    assert result.value == f"{GATED}@{published.branches['main'].id}", result.output
    published.add(other=b"")
    result = clients.call(build_of, tmp_path / "out", token="hf_reader")
    assert f"images: '{GATED}@" in result.output and "files or by code that changed since" in result.output


def byproducts_of(place):
    """How a script that reads byproducts from `place` ends: rows, or the error's one line."""
    try:
        return len(imagenet_ab.load_dataset("byproducts", byproducts=place, split="train"))
    except SourceError as error:
        return str(error)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("hf://datasets/you/none/ab.tar.gz", "Check https://huggingface.co/datasets/you/none, log in"),
        (
            "hf://datasets/you/gated@main/imagenet_ab_v1_0.tar.gz",
            "at https://huggingface.co/datasets/you/gated and",
        ),
        ("hf://you", "Write it like hf://datasets/owner/name/imagenet_ab_v1_0.tar.gz."),
        ("you/gated@main", "Accept its terms at https://huggingface.co/datasets/you/gated and log in"),
        ("you/open@v9", "https://huggingface.co/datasets/you/open has no such revision"),
        ("you/open", "does not hold the expected file"),
        ("you/-", "there is no such dataset"),
    ],
)
def test_a_place_on_the_hub_that_gives_nothing(hub, clients, place, message):
    hub.add("dataset", "you/open").add(other=b"")
    hub.add("dataset", "you/gated", gated=True).add(**{"imagenet_ab_v1_0.tar.gz": b""})
    result = clients.call(byproducts_of, place, token="hf_reader")
    assert result.status == 0, result.output
    assert message in result.value


def test_a_refused_download_does_not_tell_its_signed_address(hub, clients, published):
    hub.fail("GET /lfs/download", 403, times=100)
    result = clients.call(byproducts_of, "coallaoh/ImageNet-AB")
    assert "the Hub says: 403 Forbidden" in result.value
    assert "signature" not in result.value


def test_a_repository_may_be_named_as_an_address(hub, clients, published):
    assert clients.call(byproducts_of, "hf://datasets/coallaoh/ImageNet-AB").value == 2 * PER_CLASS - 1
