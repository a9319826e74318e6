"""The studio's database: SQLite in the project's folder, or PostgreSQL by URL.

`tables` declares it and `migrations` make it. While the server runs, only `writer` writes: `ingest`, `work`
and `people` are what it writes, one function a change, each inside the writer's transaction. `results` reads
what was submitted.
"""
