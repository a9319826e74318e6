"""The images of a benchmark, and the class of each."""
