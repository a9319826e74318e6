"""From rows to batches: the rows of a run, samples, and the collator."""
