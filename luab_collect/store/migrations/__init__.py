"""Alembic's migrations. A released one is never changed: a change is a new one."""
