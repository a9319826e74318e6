"""Samples to batches."""

import numpy as np
import torch

from luab_trainer.data.collator import collate


def sample(labels, *targets: tuple[int, list, list]) -> dict:
    return {
        "pixel_values": torch.full((4, 6, 3), len(targets), dtype=torch.uint8),
        "labels": labels,
        "target_points": [np.array(points, np.float32) for _, points, _ in targets],
        "target_weights": [np.array(weights, np.float32) for _, _, weights in targets],
        "target_labels": [label for label, _, _ in targets],
    }


def test_single_label():
    batch = collate([sample(5, (5, [[0.25, 0.5]], [1])), sample(2, (2, [[-1, -1]], [0])), sample(7)])
    assert {name: (tuple(value.shape), value.dtype) for name, value in batch.items()} == {
        "pixel_values": ((3, 4, 6, 3), torch.uint8),
        "labels": ((3,), torch.int64),
        "target_points": ((3, 1, 1, 2), torch.float32),
        "target_weights": ((3, 1, 1), torch.float32),
        "target_labels": ((3, 1), torch.int64),
    }
    assert batch["pixel_values"][:, 0, 0, 0].tolist() == [1, 1, 0]
    # accelerate broadcasts what lies in memory to the other processes.
    assert batch["pixel_values"].is_contiguous()
    assert batch["labels"].tolist() == [5, 2, 7]
    assert batch["target_points"].tolist() == [[[[0.25, 0.5]]], [[[-1, -1]]], [[[-1, -1]]]]
    assert batch["target_weights"].flatten().tolist() == [1, 0, 0]
    assert batch["target_labels"].tolist() == [[5], [2], [-1]]


def test_several_labels_targets_and_points_are_padded():
    labels = torch.tensor([0.0, 1, 0, 1])
    three_points = [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]
    batch = collate(
        [
            sample(labels, (1, three_points, [0.5, 0.25, 0.25]), (3, [[0.75, 0.5]], [1])),
            sample(torch.zeros(4)),
        ]
    )
    assert batch["labels"].shape == (2, 4) and batch["labels"].dtype == torch.float32
    assert batch["labels"].tolist() == [[0, 1, 0, 1], [0, 0, 0, 0]]
    assert batch["target_points"].shape == (2, 2, 4, 2)  # 3 points: room for 4
    assert batch["target_weights"].tolist() == [
        [[0.5, 0.25, 0.25, 0], [1, 0, 0, 0]],
        [[0, 0, 0, 0], [0, 0, 0, 0]],
    ]
    torch.testing.assert_close(batch["target_points"][0, 0, :3], torch.tensor(three_points))
    assert batch["target_points"][0, 1].tolist() == [[0.75, 0.5], *[[-1, -1]] * 3]
    assert batch["target_labels"].tolist() == [[1, 3], [-1, -1]]
