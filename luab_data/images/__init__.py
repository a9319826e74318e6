"""Image files: which files are images, checks of their headers, and their upright pixels."""
