"""Evaluates any image classifier: robustness, localization, and the report."""
