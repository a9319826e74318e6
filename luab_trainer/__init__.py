"""Train image classifiers on annotation byproducts. Import from the modules: this package loads none."""
