"""How Alembic reaches the database: the connection that Tocsin hands it, or by hand the one of the settings."""

from typing import Any

from alembic import context
from sqlalchemy import Connection

from tocsin import settings
from tocsin.db.engine import open_storage
from tocsin.db.schema import metadata
from tocsin.db.transaction import Writer


def ours(name: str | None, kind: str, parent: Any) -> bool:
    """Only our own tables: the original service's may stand beside them."""
    return kind != "table" or name in metadata.tables


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table="tocsin_version",
        include_name=ours,
        # SQLite cannot alter most things in place.
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


def by_hand() -> None:
    import asyncio

    chosen = settings.load()
    if chosen.postgres_url is None:
        chosen.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    storage = open_storage(chosen, log=lambda tx, told: None)

    def work(tx: Writer) -> None:
        tx.dialect.hold_migration(tx.bare)
        migrate(tx.bare)
        tx.wrote = True

    async def run() -> None:
        try:
            await storage.transaction(work)
        finally:
            await storage.close()

    asyncio.run(run())


handed: Connection | None = context.config.attributes.get("connection")
if handed is not None:
    migrate(handed)
else:
    by_hand()
