"""Assignments and submissions have numbers: a clock that was set back does not change their order."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ORDER = "PARTITION BY annotator_id ORDER BY created, completed, id"
_NUMBER = f"SELECT id, ROW_NUMBER() OVER ({_ORDER}) FROM assignments"
_SUBMISSION = (
    "SELECT id, ROW_NUMBER() OVER (ORDER BY submitted, created, id) FROM work WHERE state = 'submitted'"
)


def upgrade() -> None:
    """Adds the columns; what is there is numbered by its times, which is all that is known."""
    op.add_column("assignments", sa.Column("number", sa.Integer(), server_default="0", nullable=False))
    op.add_column("work", sa.Column("submission", sa.Integer(), nullable=True))
    op.create_index(op.f("ix_work_submission"), "work", ["submission"], unique=False)
    connection = op.get_bind()
    for table, column, numbers in (("assignments", "number", _NUMBER), ("work", "submission", _SUBMISSION)):
        rows = [{"id": identifier, "n": n} for identifier, n in connection.execute(sa.text(numbers))]
        if rows:
            connection.execute(sa.text(f"UPDATE {table} SET {column} = :n WHERE id = :id"), rows)
