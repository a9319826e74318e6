"""ImageNet's images straight from their gated repository: joined by file name, in one pass."""

import io

import datasets
import pytest
from factories import WNIDS, image_bytes, noise_image, raw_byproducts

import imagenet_ab
from hub.conftest import TOKEN

GATED = "ILSVRC/imagenet-1k"
PER_CLASS = 12


@pytest.fixture
def published(hub, tmp_path):
    """Two shards of images, for those who accepted the terms; the byproducts, for everyone."""
    ids = [f"{wnid}_{number}" for number in range(PER_CLASS) for wnid in WNIDS]
    shards = {}
    for number in range(2):
        own = ids[number::2]
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
    repository = hub.add("dataset", GATED, gated=True, accepted={"reader"})
    repository.add(**shards)
    xml = [f"{name.partition('_')[0]}/{name}" for name in ids[1:]]
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
