"""Pictures of rows: the image, its byproducts, the training crop and target, attention maps."""
