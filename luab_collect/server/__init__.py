"""The studio's servers: `app` for annotators, `admin` for the researcher, on a port of its own.

`studio` is what both share: the project, its database and the writer.
"""
