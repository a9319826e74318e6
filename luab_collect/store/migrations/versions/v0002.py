"""Pages of work none of whose images came in the browser do not count."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the columns `blank`. Earlier pages did not say what came: theirs count as seen."""
    op.add_column("work", sa.Column("blank", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("pages", sa.Column("blank", sa.Integer(), server_default="0", nullable=False))
    op.drop_index(op.f("ix_pages_taken_number"), table_name="pages")
    op.create_index(op.f("ix_pages_taken_blank_number"), "pages", ["taken", "blank", "number"], unique=False)
