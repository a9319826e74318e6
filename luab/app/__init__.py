"""`luab app`: a page in the browser where people give an image and see where classifiers look."""
