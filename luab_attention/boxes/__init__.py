"""Boxes of objects: one module for each format, and one function that chooses."""
