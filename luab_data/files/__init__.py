"""Files on this machine: written whole or not at all, and whether they are still what was written."""
