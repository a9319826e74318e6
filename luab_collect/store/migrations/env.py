"""Run by Alembic inside the transaction of `luab_collect.store.migrate.upgrade`."""

from alembic import context

from luab_collect.store.tables import metadata

config = getattr(context, "config", None)
if config is not None:  # else a tool imports it that looks at all modules
    context.configure(
        connection=config.attributes["connection"],
        target_metadata=metadata,
        render_as_batch=True,  # SQLite changes a column by making the table anew
        transactional_ddl=True,
    )
    context.run_migrations()
