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


def only(where: str) -> dict[str, Any]:
    """An index of only those rows."""
    return {"sqlite_where": text(where), "postgresql_where": text(where)}


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
    Column("severity", Text, nullable=False, server_default="medium"),
    Column("asset", Text),
    # JSON in canonical form: what the source said in names and values.
    Column("labels", Text, nullable=False, server_default="{}"),
    # The door that it came in by; no foreign key, for the same reason as `filed_by`.
    Column("integration_id", Id),
    # Whose dedup key it is: `i12` an integration's, `k7` a key's, `k` that of the key from the environment.
    Column("dedup_owner", Text),
    Column("dedup_key", Text),
    # Filing is the first report. Null: nobody has reported it since.
    Column("reports_count", Integer, nullable=False, server_default=text("1")),
    Column("last_reported_at", Moment),
    # One trouble, one incident: at most one active incident has an owner's dedup key, whoever writes at once.
    Index(
        "uq_incident_trouble",
        "dedup_owner",
        "dedup_key",
        unique=True,
        **only("dedup_key IS NOT NULL AND status NOT IN ('resolved', 'closed')"),
    ),
    # Reader: a source that asks for its trouble by its own name, ended ones too.
    Index("ix_incident_dedup", "dedup_owner", "dedup_key", "id", **only("dedup_key IS NOT NULL")),
    # Readers, in this order: the whole list; the list by status; by source; a monitoring key's own; a partner's own.
    # The id is in each because a page goes on after (created_at, id).
    Index("ix_incident_created", "created_at", "id"),
    Index("ix_incident_status", "status", "created_at", "id"),
    Index("ix_incident_source", "source", "created_at", "id"),
    Index("ix_incident_filed_by", "filed_by", "created_at", "id"),
    # Most incidents are nobody's: they need not stand in a partner's index.
    Index("ix_incident_partner", "partner_id", "created_at", "id", **only("partner_id IS NOT NULL")),
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

# A door for machines: a dialect, a secret, a source, defaults. `settings` is JSON; `sealed` holds further secrets.
integration = Table(
    "integration",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("partner_id", Id, ForeignKey("partner.id")),
    Column("secret_hash", LargeBinary, nullable=False),
    # Rotation: the secret before this one stays good until `former_until`.
    Column("former_hash", LargeBinary),
    Column("former_until", Moment),
    Column("settings", Text, nullable=False, server_default="{}"),
    Column("sealed", LargeBinary),
    Column("created_at", Moment, nullable=False),
    Column("rotated_at", Moment),
    Column("removed_at", Moment),
    sqlite_autoincrement=True,
)

# One thing that a source said, what came of it and why. Never removed; its raw payload is.
report = Table(
    "report",
    metadata,
    Column("id", Id, primary_key=True),
    Column("received_at", Moment, nullable=False),
    # One of the two says who: no foreign keys, for the same reason as `incident.filed_by`.
    Column("integration_id", Id),
    Column("key_id", Id),
    Column("action", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("incident_id", Id),
    Column("dedup_key", Text),
    Column("summary", Text),
    # What a note says, in full; null for everything else.
    Column("words", Text),
    Column("severity", Text),
    Column("sender", Text),
    Column("request_id", Text),
    Column("replay_of", Id),
    # Readers: an integration's log; an incident's reports; a sender that asks what became of its request.
    Index("ix_report_integration", "integration_id", "id"),
    Index("ix_report_incident", "incident_id", "id"),
    Index("ix_report_request", "request_id"),
    sqlite_autoincrement=True,
)

# What a report looked like when it came in, secrets taken out. `size` is what came; `body` may be cut.
payload = Table(
    "payload",
    metadata,
    Column("report_id", Id, primary_key=True, autoincrement=False),
    Column("received_at", Moment, nullable=False),
    # Method, path and query, without secrets: what a replay needs beside the body.
    Column("target", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    # Reader: the loop that forgets old payloads.
    Index("ix_payload_received", "received_at"),
)

# By what somebody is told: `config` is JSON that may be shown, `sealed` the secrets, encrypted.
channel = Table(
    "channel",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("config", Text, nullable=False),
    Column("sealed", LargeBinary),
    Column("created_at", Moment, nullable=False),
    Column("removed_at", Moment),
    sqlite_autoincrement=True,
)

# Who wants to hear of what: from this severity on; of these sources (JSON, empty means all).
subscription = Table(
    "subscription",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel_id", Id, ForeignKey("channel.id"), nullable=False, index=True),
    Column("severity", Text, nullable=False),
    Column("sources", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("removed_at", Moment),
    sqlite_autoincrement=True,
)

# The outbox: what is to be told to whom, written in the transaction of the entry that causes it.
notification = Table(
    "notification",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel_id", Id, nullable=False),
    Column("incident_id", Id),
    Column("entry_id", Id),
    Column("event", Text, nullable=False),
    # The same on every attempt, so that the other side can tell a repeat.
    Column("message_id", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    # `waiting`, `sending`, `carried` (told by the message of `carried_by`), `sent`, `dead`.
    Column("state", Text, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("carried_by", Id),
    Column("leased_until", Moment),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("settled_at", Moment),
    Column("reason", Text),
    # The one before it, of the same channel and incident: it is not sent before that one is settled.
    Column("follows", Id),
    # Of a mail that was not taken for everybody: who has it, who was refused, who is left (JSON).
    Column("recipients", Text),
    # Readers: the sender, who looks for what is due of a channel; an incident's deliveries; a channel's; who is carried
    # by whom; who may go out when this one is settled.
    Index("ix_notification_due", "channel_id", "follows", "due_at", "id", **only("state IN ('waiting', 'sending')")),
    Index("ix_notification_follows", "follows", **only("follows IS NOT NULL")),
    Index("ix_notification_incident", "incident_id", "id"),
    Index("ix_notification_channel", "channel_id", "id"),
    Index("ix_notification_carried", "carried_by", **only("carried_by IS NOT NULL")),
    sqlite_autoincrement=True,
)

# One attempt to tell it.
delivery = Table(
    "delivery",
    metadata,
    Column("id", Id, primary_key=True),
    Column("notification_id", Id, nullable=False, index=True),
    Column("at", Moment, nullable=False),
    # `sent`, `again`, `dead`.
    Column("outcome", Text, nullable=False),
    Column("status", Integer),
    Column("reason", Text, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    sqlite_autoincrement=True,
)

# While a burst lasts, what else a channel is to hear of this event waits and is told in one message.
burst = Table(
    "burst",
    metadata,
    Column("channel_id", Id, primary_key=True, autoincrement=False),
    Column("event", Text, primary_key=True),
    Column("until", Moment, nullable=False),
)

# Which process asks Telegram for a bot's updates, and how far it has come.
telegram_bot = Table(
    "telegram_bot",
    metadata,
    Column("bot_id", BigInteger, primary_key=True, autoincrement=False),
    Column("next_update", BigInteger, nullable=False),
    Column("leased_by", Text),
    Column("leased_until", Moment),
)

# Somebody who is signed in to the page with a key (none: that of the environment). The cookie is kept as a hash.
session = Table(
    "session",
    metadata,
    Column("secret_hash", LargeBinary, primary_key=True),
    Column("key_id", Id),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    # Reader: the loop that forgets sessions that have ended.
    Index("ix_session_expires", "expires_at"),
)
