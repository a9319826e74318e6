"""A toy world in COCO-AB's released layout: generated images and simulated annotators."""
