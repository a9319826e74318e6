"""`luab traces`: a dataset's traces, read row by row; reports, tables, filtered datasets, figures."""
