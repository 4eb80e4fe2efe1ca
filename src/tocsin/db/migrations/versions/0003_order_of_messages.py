"""What a channel hears of one incident comes in the order in which it happened, and a dead target slows nobody.

A message that must wait names the one before it, and is freed when that one is settled: "resolved" came before "new"
while the latter was folded or tried again. The index of what is due begins with the channel, because walking over a
dead target's 60,000 waiting rows after each commit made filing twelve times as slow. A mail stays one message however
many it is for, and keeps who has it: those are not sent it again because the server refused another.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("state IN ('waiting', 'sending')")
FOLLOWING = sa.text("follows IS NOT NULL")


def upgrade() -> None:
    op.add_column("notification", sa.Column("follows", Id, nullable=True))
    op.add_column("notification", sa.Column("recipients", sa.Text(), nullable=True))
    op.drop_index("ix_notification_due", "notification")
    op.create_index(
        "ix_notification_due",
        "notification",
        ["channel_id", "follows", "due_at", "id"],
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.create_index(
        "ix_notification_follows", "notification", ["follows"], sqlite_where=FOLLOWING, postgresql_where=FOLLOWING
    )
