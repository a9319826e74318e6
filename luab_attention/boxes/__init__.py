"""Boxes of objects: one module per format, and one function that picks the format."""
