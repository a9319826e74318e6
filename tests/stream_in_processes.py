"""A stream in several processes: accelerate reads it in the first and sends the others their rows.

`tests/test_accelerate.py` launches it. Each process checks that its images are those of its labels.
"""

import torch
from accelerate import Accelerator
from clicked import clicked_dataset
from torch.utils.data import DataLoader

from luab_trainer.collator import collate
from luab_trainer.dataset import ViewIterableDataset
from luab_trainer.transforms import EvalTransform, ImageSettings

ROWS = 16

rows = clicked_dataset(ROWS).remove_columns("label").add_column("label", list(range(ROWS)))
dataset = ViewIterableDataset(rows.to_iterable_dataset(), EvalTransform(ImageSettings(32)), byproduct="click")
expected = {sample["labels"]: sample["pixel_values"] for sample in dataset}
accelerator = Accelerator(cpu=True)
loader = accelerator.prepare(DataLoader(dataset, 4, collate_fn=collate))
seen = [
    label.item()
    for batch in loader
    for label, pixels in zip(batch["labels"], batch["pixel_values"], strict=True)
    if torch.equal(pixels, expected[label.item()])
]
assert accelerator.num_processes == 2 and len(seen) == ROWS // 2, seen
accelerator.end_training()
