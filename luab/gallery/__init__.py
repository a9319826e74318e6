"""Pictures of rows: the image, its byproducts, what training makes of them, where models look."""
