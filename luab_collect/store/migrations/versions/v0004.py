"""Decisions about annotators cover what was submitted by then; the last one that covers a page holds."""

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
_OF_PAGE = "UPDATE work SET verdict = :verdict WHERE id = :work_id"
_OF_ANNOTATOR = (
    "UPDATE work SET verdict = :verdict WHERE annotator_id = :annotator_id AND submission <= :submission"
)
_DECISIONS = "SELECT work_id, annotator_id, verdict, submission FROM decisions ORDER BY id"
_KEPT = """
SELECT COUNT(*) FROM work JOIN annotators ON annotators.id = work.annotator_id
WHERE work.page_id = pages.id AND annotators.withdrawn IS NULL
AND COALESCE(work.verdict, annotators.verdict, '') <> 'reject'
"""
_COUNTS = (
    f"UPDATE pages SET taken = ({_KEPT} AND work.state <> 'returned' AND NOT work.blank), "
    f"blank = ({_KEPT} AND work.blank)"
)


def upgrade() -> None:
    """Adds what a decision covers, by its time, which is all that is known, and decides anew in order."""
    op.add_column("decisions", sa.Column("submission", sa.Integer(), nullable=True))
    connection = op.get_bind()
    connection.execute(sa.text(_COVERED))
    decisions = connection.execute(sa.text(_DECISIONS)).mappings().all()
    for decision in decisions:
        connection.execute(sa.text(_OF_PAGE if decision["work_id"] else _OF_ANNOTATOR), dict(decision))
    if decisions:
        connection.execute(sa.text(_COUNTS))
