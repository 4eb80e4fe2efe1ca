"""Every table on one page. Names are singular, text is plain text, no native enums: the rules stand in each `model.py`.

The original service's tables (`incidents`, `alembic_version`) may live in the same database; nothing here touches them.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.types import TypeEngine

from tocsin.kit.clock import from_microseconds_or_none, microseconds_or_none

# Named, so that a later migration can find them on both engines.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

# SQLite gives out AUTOINCREMENT ids only for a column that is declared INTEGER.
Id = BigInteger().with_variant(Integer(), "sqlite")


class Moment(TypeDecorator[datetime]):
    """Aware UTC with microseconds: `timestamptz` on PostgreSQL, microseconds since 1970 on SQLite (half the index).

    Its processors are plain functions: a page of 50 incidents calls them 250 times.
    """

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind: TypeEngine[Any] = TIMESTAMP(timezone=True) if dialect.name == "postgresql" else BigInteger()
        return dialect.type_descriptor(kind)

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        return None if dialect.name == "postgresql" else microseconds_or_none

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        return None if dialect.name == "postgresql" else from_microseconds_or_none


partner = Table(
    "partner",
    metadata,
    Column("id", Id, primary_key=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("partner_id", Id, ForeignKey("partner.id")),
    Column("secret_hash", LargeBinary, nullable=False),
    # Rotation: the secret before this one stays good until `former_until`.
    Column("former_hash", LargeBinary),
    Column("former_until", Moment),
    Column("created_at", Moment, nullable=False),
    Column("rotated_at", Moment),
    Column("revoked_at", Moment),
    Column("last_used_at", Moment),
    sqlite_autoincrement=True,
)

# One row. Every change of a key or partner raises it; each process looks at it once a second.
key_version = Table(
    "key_version",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
)

incident = Table(
    "incident",
    metadata,
    Column("id", Id, primary_key=True),
    Column("description", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    # Only where it was given: otherwise it is the description's first line, worked out when read.
    Column("summary", Text),
    # No foreign key: it would lock and read the key's row for every incident, and keys are never deleted.
    Column("filed_by", Id),
    Column("partner_id", Id, ForeignKey("partner.id")),
    # What the partner itself said last: all that it may read of an incident's words.
    Column("partner_words", Text),
    Column("acknowledged_at", Moment),
    Column("acknowledged_by", Id),
    Column("resolved_at", Moment),
    Column("closed_at", Moment),
    Column("updated_at", Moment, nullable=False),
    Column("reopened_count", Integer, nullable=False, server_default=text("0")),
    Column("version", Integer, nullable=False),
    # Readers, in this order: the whole list; the list by status; by source; a monitoring key's own; a partner's own.
    # The id is in each because a page goes on after (created_at, id).
    Index("ix_incident_created", "created_at", "id"),
    Index("ix_incident_status", "status", "created_at", "id"),
    Index("ix_incident_source", "source", "created_at", "id"),
    Index("ix_incident_filed_by", "filed_by", "created_at", "id"),
    # Most incidents are nobody's: they need not stand in a partner's index.
    Index(
        "ix_incident_partner",
        "partner_id",
        "created_at",
        "id",
        sqlite_where=text("partner_id IS NOT NULL"),
        postgresql_where=text("partner_id IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)

# The words that an edit replaced. The timeline refers to them by id, because it holds no free text itself.
former_description = Table(
    "former_description",
    metadata,
    Column("id", Id, primary_key=True),
    Column("incident_id", Id, ForeignKey("incident.id"), nullable=False, index=True),
    Column("description", Text, nullable=False),
    Column("replaced_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)

# The timeline. Rows are only ever added. `changes` and `refs` are JSON in one canonical form.
entry = Table(
    "entry",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("kind", Text, nullable=False),
    Column("incident_id", Id),
    Column("actor_type", Text, nullable=False),
    Column("actor_id", Id),
    Column("changes", Text, nullable=False),
    Column("refs", Text, nullable=False),
    Column("request_id", Text),
    # Reader: one incident's timeline.
    Index("ix_entry_incident", "incident_id", "id"),
    sqlite_autoincrement=True,
)

# Answers kept for 24 hours, so that a repeated request is answered and not done again.
kept_answer = Table(
    "kept_answer",
    metadata,
    Column("scope", LargeBinary, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("location", Text),
    Column("etag", Text),
    Column("created_at", Moment, nullable=False),
    # Reader: the loop that forgets old answers.
    Index("ix_kept_answer_created", "created_at"),
)

# PostgreSQL only: the last batch of each process. It settles what a connection that broke at COMMIT left open.
last_batch = Table(
    "last_batch",
    metadata,
    Column("writer", Text, primary_key=True),
    Column("batch", BigInteger, nullable=False),
    Column("at", Moment, nullable=False),
)

# How far `tocsin import original` has come, by where it reads from.
original_import = Table(
    "original_import",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("last_id", Id, nullable=False),
    Column("imported", BigInteger, nullable=False),
    Column("updated_at", Moment, nullable=False),
)
