"""The images that a benchmark asks about, and which class each of them shows."""
