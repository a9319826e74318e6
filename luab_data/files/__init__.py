"""Local files: written atomically, and checked for changes."""
