"""Many XMLs of the released layout at once: array code, for speed alone. Enter by `columns.parse_columns`."""
