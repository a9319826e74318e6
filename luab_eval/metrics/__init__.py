"""Metrics, one folder each: a module for `evaluate.load("luab_eval/metrics/<name>")`.

Each folder imports nothing else of this package, so that it can be copied and used without it.
"""
