"""Measures how accurate the clicks and traces of a dataset are, using the true boxes."""
