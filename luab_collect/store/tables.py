"""The tables. Times are epoch seconds, ids of work and assignments 32 hex digits, tokens only their SHA-256.

`migrations` makes them; a test compares both.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

# Fixed names of constraints: a later migration can name what it changes.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

meta = Table(
    "meta", metadata, Column("key", String(64), primary_key=True), Column("value", Text, nullable=False)
)

annotators = Table(
    "annotators",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pseudonym", String(10), nullable=False, unique=True),  # keyed hash of the outside id
    Column("platform", String(16), nullable=False),  # link, prolific, url
    Column("created", Float, nullable=False),
    Column("practiced", Float),
    Column("withdrawn", Float),
    Column("verdict", String(16)),  # the last decision about her: accept, reject
)

# Who an annotator is outside. No export reads these two.
outside_ids = Table(
    "outside_ids",
    metadata,
    Column("annotator_id", ForeignKey("annotators.id"), primary_key=True),
    Column("platform", String(16), nullable=False),
    Column("outside_id", String(255), nullable=False),
    UniqueConstraint("platform", "outside_id"),
)
links = Table(
    "links",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("annotator_id", ForeignKey("annotators.id"), nullable=False, unique=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("created", Float, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("annotator_id", ForeignKey("annotators.id"), nullable=False, index=True),
    Column("visit", String(32)),  # keyed hash of the platform's submission: one assignment each
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False, index=True),
)

consents = Table(
    "consents",
    metadata,
    Column("annotator_id", ForeignKey("annotators.id"), nullable=False),
    Column("version", String(16), nullable=False),
    Column("text_sha256", ForeignKey("texts.sha256"), nullable=False),
    Column("at", Float, nullable=False),
    PrimaryKeyConstraint("annotator_id", "version"),
)
# What was consented to, word for word.
texts = Table(
    "texts", metadata, Column("sha256", String(64), primary_key=True), Column("body", Text, nullable=False)
)

items = Table(
    "items",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("key", String(32), nullable=False, unique=True),  # keyed hash: the image's address
    Column("file", Text, nullable=False),  # below the project's folder of images
    Column("sha256", String(64), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("class_name", String(255)),
    Column("gold", JSON),
)

pages = Table(
    "pages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("class_name", String(255)),
    # Annotators who have submitted it or are at it, whose work counts. `work.recount` keeps it.
    Column("taken", Integer, nullable=False, server_default="0"),
    # Annotators who have submitted it and saw none of its images, which does not count.
    Column("blank", Integer, nullable=False, server_default="0"),
    Index(None, "taken", "blank", "number"),
)
page_items = Table(
    "page_items",
    metadata,
    Column("page_id", ForeignKey("pages.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("item_id", ForeignKey("items.id"), nullable=False, index=True),
    Column("role", String(16), nullable=False),
    PrimaryKeyConstraint("page_id", "position"),
    CheckConstraint("role IN ('target', 'distractor', 'gold')", name="role"),
)

assignments = Table(
    "assignments",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("annotator_id", ForeignKey("annotators.id"), nullable=False, index=True),
    Column("visit", String(32)),
    Column("number", Integer, nullable=False, server_default="0"),  # of its annotator, from 1: clocks go back
    Column("pages", Integer, nullable=False),  # as many as it was planned with
    Column("created", Float, nullable=False),
    Column("completed", Float),
    Column("code", String(32), unique=True),
    UniqueConstraint("annotator_id", "visit"),
)
work = Table(
    "work",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("assignment_id", ForeignKey("assignments.id"), nullable=False, index=True),
    Column("annotator_id", ForeignKey("annotators.id"), nullable=False),
    Column("page_id", ForeignKey("pages.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),  # in its assignment, from 0; of submitted ones in order
    Column("state", String(16), nullable=False),
    Column("created", Float, nullable=False),
    Column("leased_until", Float, nullable=False),
    Column("epoch", Integer, nullable=False, server_default="0"),  # the newest tab's
    Column("stored_bytes", Integer, nullable=False, server_default="0"),  # of events and conflicts, as JSON
    Column("submitted", Float),
    Column("submission", Integer, index=True),  # from 1, in the order of submission: clocks go back
    Column("submitted_epoch", Integer),
    Column("submitted_seq", Integer),
    Column("blank", Boolean, nullable=False, server_default=false()),  # none of its images came
    Column("verdict", String(16)),  # the last decision about it, also with all of its annotator's
    UniqueConstraint("annotator_id", "page_id"),  # no page twice to one annotator
    CheckConstraint("state IN ('leased', 'submitted', 'returned')", name="state"),
    Index(None, "state", "leased_until"),
)

batches = Table(
    "batches",
    metadata,
    Column("work_id", ForeignKey("work.id"), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("first_seq", Integer, nullable=False),
    Column("last_seq", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),  # of the events as JSON
    Column("body", LargeBinary, nullable=False),  # the events as JSON, zlib
    Column("received", Float, nullable=False),
    PrimaryKeyConstraint("work_id", "epoch", "first_seq"),
    CheckConstraint("first_seq >= 1 AND last_seq >= first_seq", name="seq"),
)
# Events whose numbers were taken by others: refused, and kept.
conflicts = Table(
    "conflicts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("work_id", ForeignKey("work.id"), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("first_seq", Integer, nullable=False),
    Column("last_seq", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received", Float, nullable=False),
    UniqueConstraint("work_id", "epoch", "first_seq", "sha256"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("work_id", ForeignKey("work.id"), index=True),
    Column("annotator_id", ForeignKey("annotators.id"), index=True),
    Column("verdict", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", String(255), nullable=False),
    Column("at", Float, nullable=False),
    Column("submission", Integer),  # about an annotator: of her work, the last submission that it covers
    CheckConstraint("(work_id IS NULL) <> (annotator_id IS NULL)", name="subject"),
)
webhooks = Table(
    "webhooks",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("event", String(64), nullable=False),
    Column("used", Boolean, nullable=False),  # whether it was about one of our assignments
    Column("received", Float, nullable=False),
)
