"""Image files: which ones are images, what their headers claim, and their upright pixels."""
