"""What PostgreSQL's errors mean, whether SQLAlchemy or the driver itself has raised them."""

import asyncpg
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# Serialization failure, deadlock, and the unique-key race of two processes: run the whole batch again.
RACES = frozenset({"40001", "40P01"})
AGAIN = RACES | {"23505"}
# Lock not available, cancelled (statement timeout), read-only server, out of something, shutting down, idle too long.
AWAY = ("55P03", "57", "25006", "53", "25P03", "08", "58")

# The database's troubles, and not our own mistakes in a statement: those are no reason to ask again.
# TimeoutError is an OSError since 3.11; asyncpg's own come unwrapped where a connection could not be made.
TROUBLE = (
    DBAPIError,
    PendingRollbackError,
    PoolTimeout,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that the server has just ended
    asyncpg.TargetServerAttributeNotMatched,
)

# What is said of a connection that cannot be used any more.
GONE = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)


def sqlstate(problem: BaseException) -> str:
    """The SQLSTATE, where there is one."""
    inner = problem.orig if isinstance(problem, DBAPIError) else problem
    return str(getattr(inner, "sqlstate", None) or "")


def broken(problem: BaseException) -> bool:
    """The connection is gone, or could not be made."""
    if isinstance(problem, DBAPIError):
        return problem.connection_invalidated or sqlstate(problem).startswith(("08", "57P"))
    if isinstance(problem, TimeoutError):
        return False
    gone = isinstance(problem, GONE) and not is_ours(problem)
    return gone or sqlstate(problem).startswith(("08", "57P"))


def is_ours(problem: BaseException) -> bool:
    """A value that the driver could not even send: the same word as for a connection that cannot be used."""
    return isinstance(problem, asyncpg.InterfaceError) and isinstance(problem, ValueError)


def in_a_line(problem: BaseException) -> str:
    """One line, without the statement and its values: they may hold what a log must not."""
    inner = problem.orig if isinstance(problem, DBAPIError) else problem
    return (str(inner).splitlines() or [""])[0].removesuffix(".") or type(inner).__name__
