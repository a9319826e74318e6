"""Train image classifiers on annotation byproducts. Import from the modules: nothing is loaded early."""
