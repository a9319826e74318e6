"""Run by Alembic inside the transaction of `luab_collect.store.migrate.upgrade`."""

from alembic import context

from luab_collect.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a column by making the table anew
    transactional_ddl=True,
)
context.run_migrations()
