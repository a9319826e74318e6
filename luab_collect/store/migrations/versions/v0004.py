"""Decisions about annotators cover what was submitted by then; the last one that covers a page holds.

Before, a reject of either a page or its annotator won. What was decided then stays as it was.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COVERED = """
UPDATE decisions SET submission = (
    SELECT COALESCE(MAX(work.submission), 0) FROM work
    WHERE work.annotator_id = decisions.annotator_id AND work.state = 'submitted'
    AND work.submitted <= decisions.at
) WHERE annotator_id IS NOT NULL
"""
_OF_ANNOTATORS = """
UPDATE work SET verdict = (SELECT annotators.verdict FROM annotators WHERE annotators.id = work.annotator_id)
WHERE work.state = 'submitted' AND COALESCE(work.verdict, '') <> 'reject' AND EXISTS (
    SELECT 1 FROM decisions JOIN annotators ON annotators.id = decisions.annotator_id
    WHERE annotators.id = work.annotator_id
    AND (annotators.verdict = 'reject' OR work.submission <= decisions.submission)
)
"""


def upgrade() -> None:
    """Adds what a decision covers, by its time, which is all that is known.

    No page of work that was rejected counts now, and none that counted is rejected. Accepts of annotators do
    not reach the pages that came later.
    """
    op.add_column("decisions", sa.Column("submission", sa.Integer(), nullable=True))
    connection = op.get_bind()
    connection.execute(sa.text(_COVERED))
    connection.execute(sa.text(_OF_ANNOTATORS))
