"""Checkpoints: saved, described by a card, uploaded."""
