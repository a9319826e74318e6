"""From pairs of images and byproducts to a dataset: rows, shards, card, and a resumable build."""
