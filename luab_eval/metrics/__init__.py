"""Metrics, one folder each: a module for `evaluate.load("luab_eval/metrics/<name>")`.

Each folder imports nothing else from this package, so you can copy it and use it alone.
"""
