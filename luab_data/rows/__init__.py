"""Reads any dataset: splits, columns, labels and class names. No pixels, no attention, no torch."""
