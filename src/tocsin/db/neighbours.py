"""Who else is connected to a PostgreSQL database. There is no lock file, and a running Tocsin must keep its tables."""

import time

from sqlalchemy import Connection, text

from tocsin.db.contents import CannotCopy

GOODBYE = 3.0  # seconds in which the connections of a process that has just ended must be gone
PAUSE = 0.1


def refuse_neighbours(connection: Connection) -> None:
    """Raises `CannotCopy` while anybody else is connected; ends the caller's transaction."""
    deadline = time.monotonic() + GOODBYE
    while others := connection.scalar(OTHERS):
        if time.monotonic() > deadline:
            many = "another connection is" if others == 1 else f"{others} other connections are"
            raise CannotCopy(f"{many} open to this database: stop Tocsin there, and a pooler if there is one")
        time.sleep(PAUSE)
        connection.rollback()  # within one transaction the view stays the same
    connection.rollback()


# Autovacuum's workers have no user; others' kinds are hidden from a plain role.
OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND usename IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'"
)
