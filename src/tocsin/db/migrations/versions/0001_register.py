"""The register as it begins: incidents, their timeline, keys, partners, kept answers.

Times are microseconds on SQLite and `timestamptz` on PostgreSQL (`Moment`); statuses, sources and roles are plain
text, because more will come and a rule in one place is easier to change than an enum in two engines. Names are
singular, so that the original service's tables can stand in the same database.
"""

import sqlalchemy as sa
from alembic import op

from tocsin.db.schema import Moment

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    people()
    incidents()
    former_words()
    log()
    housekeeping()


def people() -> None:
    op.create_table(
        "partner",
        sa.Column("id", Id, nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner")),
        sa.UniqueConstraint("slug", name=op.f("uq_partner_slug")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "api_key",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("partner_id", Id, nullable=True),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("former_hash", sa.LargeBinary(), nullable=True),
        sa.Column("former_until", Moment(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("rotated_at", Moment(), nullable=True),
        sa.Column("revoked_at", Moment(), nullable=True),
        sa.Column("last_used_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.id"], name=op.f("fk_api_key_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "key_version",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_version")),
    )


def incidents() -> None:
    op.create_table(
        "incident",
        sa.Column("id", Id, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("filed_by", Id, nullable=True),
        sa.Column("partner_id", Id, nullable=True),
        sa.Column("partner_words", sa.Text(), nullable=True),
        sa.Column("acknowledged_at", Moment(), nullable=True),
        sa.Column("acknowledged_by", Id, nullable=True),
        sa.Column("resolved_at", Moment(), nullable=True),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("reopened_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.id"], name=op.f("fk_incident_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_incident_created", "incident", ["created_at", "id"])
    op.create_index("ix_incident_filed_by", "incident", ["filed_by", "created_at", "id"])
    op.create_index(
        "ix_incident_partner",
        "incident",
        ["partner_id", "created_at", "id"],
        sqlite_where=sa.text("partner_id IS NOT NULL"),
        postgresql_where=sa.text("partner_id IS NOT NULL"),
    )
    op.create_index("ix_incident_source", "incident", ["source", "created_at", "id"])
    op.create_index("ix_incident_status", "incident", ["status", "created_at", "id"])


def former_words() -> None:
    op.create_table(
        "former_description",
        sa.Column("id", Id, nullable=False),
        sa.Column("incident_id", Id, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("replaced_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_former_description_incident_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_former_description")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_former_description_incident_id"), "former_description", ["incident_id"])


def log() -> None:
    op.create_table(
        "entry",
        sa.Column("id", Id, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("incident_id", Id, nullable=True),
        sa.Column("actor_type", sa.Text(), nullable=False),
        sa.Column("actor_id", Id, nullable=True),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("refs", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entry")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_entry_incident", "entry", ["incident_id", "id"])


def housekeeping() -> None:
    op.create_table(
        "kept_answer",
        sa.Column("scope", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_kept_answer")),
    )
    op.create_index("ix_kept_answer_created", "kept_answer", ["created_at"])
    op.create_table(
        "last_batch",
        sa.Column("writer", sa.Text(), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("writer", name=op.f("pk_last_batch")),
    )
    op.create_table(
        "original_import",
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("last_id", Id, nullable=False),
        sa.Column("imported", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("origin", name=op.f("pk_original_import")),
    )
