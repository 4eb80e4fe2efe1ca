"""One thread, whole: reports that come in by integrations, what is told to whom, and who is signed in to the page.

That at most one active incident has an owner's dedup key is a unique index and no look before the insert: two
processes that look at once both see nothing. The outbox is a table of its own beside the timeline, because what is
told has a life after the entry: it waits, is leased, fails and is tried again. Raw payloads stand apart from reports,
since they go after a while and reports never do.
"""

import sqlalchemy as sa
from alembic import op

from tocsin.db.schema import Moment

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    incidents()
    integrations()
    reports()
    payloads()
    channels()
    subscriptions()
    outbox()
    deliveries()
    bursts()
    telegram_bots()
    sessions()


def incidents() -> None:
    op.add_column("incident", sa.Column("severity", sa.Text(), server_default="medium", nullable=False))
    op.add_column("incident", sa.Column("asset", sa.Text(), nullable=True))
    op.add_column("incident", sa.Column("labels", sa.Text(), server_default="{}", nullable=False))
    op.add_column("incident", sa.Column("integration_id", Id, nullable=True))
    op.add_column("incident", sa.Column("dedup_owner", sa.Text(), nullable=True))
    op.add_column("incident", sa.Column("dedup_key", sa.Text(), nullable=True))
    op.add_column("incident", sa.Column("reports_count", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.add_column("incident", sa.Column("last_reported_at", Moment(), nullable=True))
    op.create_index(
        "ix_incident_dedup",
        "incident",
        ["dedup_owner", "dedup_key", "id"],
        unique=False,
        sqlite_where=sa.text("dedup_key IS NOT NULL"),
        postgresql_where=sa.text("dedup_key IS NOT NULL"),
    )
    op.create_index(
        "uq_incident_trouble",
        "incident",
        ["dedup_owner", "dedup_key"],
        unique=True,
        sqlite_where=sa.text("dedup_key IS NOT NULL AND status NOT IN ('resolved', 'closed')"),
        postgresql_where=sa.text("dedup_key IS NOT NULL AND status NOT IN ('resolved', 'closed')"),
    )


def integrations() -> None:
    op.create_table(
        "integration",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("dialect", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("partner_id", Id, nullable=True),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("former_hash", sa.LargeBinary(), nullable=True),
        sa.Column("former_until", Moment(), nullable=True),
        sa.Column("settings", sa.Text(), server_default="{}", nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("rotated_at", Moment(), nullable=True),
        sa.Column("removed_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.id"], name=op.f("fk_integration_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_integration")),
        sqlite_autoincrement=True,
    )


def reports() -> None:
    op.create_table(
        "report",
        sa.Column("id", Id, nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        sa.Column("integration_id", Id, nullable=True),
        sa.Column("key_id", Id, nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("incident_id", Id, nullable=True),
        sa.Column("dedup_key", sa.Text(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("words", sa.Text(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("replay_of", Id, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_report_incident", "report", ["incident_id", "id"], unique=False)
    op.create_index("ix_report_integration", "report", ["integration_id", "id"], unique=False)
    op.create_index("ix_report_request", "report", ["request_id"], unique=False)


def payloads() -> None:
    op.create_table(
        "payload",
        sa.Column("report_id", Id, autoincrement=False, nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_payload")),
    )
    op.create_index("ix_payload_received", "payload", ["received_at"], unique=False)


def channels() -> None:
    op.create_table(
        "channel",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("removed_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel")),
        sqlite_autoincrement=True,
    )


def subscriptions() -> None:
    op.create_table(
        "subscription",
        sa.Column("id", Id, nullable=False),
        sa.Column("channel_id", Id, nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("sources", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("removed_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name=op.f("fk_subscription_channel_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_subscription_channel_id"), "subscription", ["channel_id"], unique=False)


def outbox() -> None:
    op.create_table(
        "notification",
        sa.Column("id", Id, nullable=False),
        sa.Column("channel_id", Id, nullable=False),
        sa.Column("incident_id", Id, nullable=True),
        sa.Column("entry_id", Id, nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", Moment(), nullable=False),
        sa.Column("carried_by", Id, nullable=True),
        sa.Column("leased_until", Moment(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("settled_at", Moment(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_notification_carried",
        "notification",
        ["carried_by"],
        unique=False,
        sqlite_where=sa.text("carried_by IS NOT NULL"),
        postgresql_where=sa.text("carried_by IS NOT NULL"),
    )
    op.create_index("ix_notification_channel", "notification", ["channel_id", "id"], unique=False)
    op.create_index(
        "ix_notification_due",
        "notification",
        ["due_at", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('waiting', 'sending')"),
        postgresql_where=sa.text("state IN ('waiting', 'sending')"),
    )
    op.create_index("ix_notification_incident", "notification", ["incident_id", "id"], unique=False)


def deliveries() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", Id, nullable=False),
        sa.Column("notification_id", Id, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_delivery_notification_id"), "delivery", ["notification_id"], unique=False)


def bursts() -> None:
    op.create_table(
        "burst",
        sa.Column("channel_id", Id, autoincrement=False, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("until", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("channel_id", "event", name=op.f("pk_burst")),
    )


def telegram_bots() -> None:
    op.create_table(
        "telegram_bot",
        sa.Column("bot_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("next_update", sa.BigInteger(), nullable=False),
        sa.Column("leased_by", sa.Text(), nullable=True),
        sa.Column("leased_until", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("bot_id", name=op.f("pk_telegram_bot")),
    )


def sessions() -> None:
    op.create_table(
        "session",
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", Id, nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_session")),
    )
    op.create_index("ix_session_expires", "session", ["expires_at"], unique=False)
