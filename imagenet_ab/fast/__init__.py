"""Array code that parses many XMLs of the released layout at once. Entry: `columns.parse_columns`."""
