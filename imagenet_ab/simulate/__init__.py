"""A toy world in the released layout: generated images and simulated annotators."""
