"""Boxes of objects: one module per format, and one function that tells the format (`formats`)."""
