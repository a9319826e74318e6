"""Evaluators: callables that return a dict of metrics and name the primary one."""
