"""The report of an evaluation: results -> `Table` -> terminal, Markdown and model card, one HTML page."""
