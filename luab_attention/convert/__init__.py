"""From any source of human attention to a dataset folder: what all readers share."""
