"""How good the clicks and traces of a dataset are, against the real boxes."""
