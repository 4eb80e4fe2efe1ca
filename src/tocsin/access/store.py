"""How keys and partners are kept."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from tocsin.access.model import Key, Partner, Session
from tocsin.db.schema import api_key, key_version, partner, session
from tocsin.db.transaction import Reader, Writer


def keys(reader: Reader) -> list[Key]:
    """Every key there ever was, oldest first."""
    return [Key(*row) for row in reader.rows(KEYS.order_by(api_key.c.id))]


def key(reader: Reader, key_id: int) -> Key | None:
    """One key."""
    row = reader.row(KEYS.where(api_key.c.id == bindparam("id")), {"id": key_id})
    return None if row is None else Key(*row)


def any_key(reader: Reader) -> bool:
    """Whether a key was ever made."""
    return reader.row(select(api_key.c.id).limit(1)) is not None


def version(reader: Reader) -> int:
    """Rises with every change of keys and partners."""
    row = reader.row(VERSION)
    return 0 if row is None else int(row.version)


def partners(reader: Reader) -> list[Partner]:
    """Every partner, by slug."""
    return [Partner(*row) for row in reader.rows(PARTNERS.order_by(partner.c.slug))]


def partners_by_slug(reader: Reader, slugs: Sequence[str]) -> dict[str, Partner]:
    """Those of these partners that exist."""
    found = (reader.row(PARTNERS.where(partner.c.slug == bindparam("slug")), {"slug": slug}) for slug in set(slugs))
    return {row.slug: Partner(*row) for row in found if row is not None}


def add_key(tx: Writer, values: Mapping[str, Any]) -> int:
    (new,) = tx.insert(api_key, [values])
    raise_version(tx)
    return new


def change_key(tx: Writer, key_id: int, values: Mapping[str, Any]) -> None:
    tx.run(update(api_key).where(api_key.c.id == key_id).values(values))
    raise_version(tx)


def add_partner(tx: Writer, slug: str, name: str) -> Partner:
    (new,) = tx.insert(partner, [{"slug": slug, "name": name, "created_at": tx.now}])
    raise_version(tx)
    return Partner(new, slug, name, tx.now)


def note_use(tx: Writer, used: Mapping[int, datetime]) -> None:
    """When keys were last used. No version: nobody's cache depends on it."""
    tx.run(NOTE_USE, [{"key": key_id, "at": at} for key_id, at in sorted(used.items())])


def session_by(reader: Reader, secret_hash: bytes) -> Session | None:
    """The session that has this secret, ended or not."""
    row = reader.row(SESSION, {"hash": secret_hash})
    return None if row is None else Session(row.key_id, row.expires_at)


def add_session(tx: Writer, values: Mapping[str, Any]) -> None:
    tx.add(session, [values])


def end_session(tx: Writer, secret_hash: bytes) -> None:
    tx.run(delete(session).where(session.c.secret_hash == secret_hash))


def shorten_sessions(tx: Writer, key_id: int, until: datetime) -> None:
    """A key's sessions end then, if they would last longer: the secret that opened them is good no longer."""
    tx.run(update(session).where(session.c.key_id == key_id, session.c.expires_at > until).values(expires_at=until))


def forget_sessions(tx: Writer) -> None:
    """Those that have ended, if there are any: a transaction that changes nothing costs no commit."""
    if tx.row(ENDED_SESSION, {"now": tx.now}) is not None:
        tx.run(delete(session).where(session.c.expires_at <= tx.now))


def raise_version(tx: Writer) -> None:
    """Makes every process look at the keys again within a second."""
    if tx.row(VERSION.with_for_update()) is None:
        tx.run(insert(key_version), {"id": 1, "version": 1})
    else:
        tx.run(update(key_version).values(version=key_version.c.version + 1))


KEYS = select(
    api_key.c.id,
    api_key.c.name,
    api_key.c.role,
    partner.c.slug,
    api_key.c.partner_id,
    api_key.c.secret_hash,
    api_key.c.former_hash,
    api_key.c.former_until,
    api_key.c.created_at,
    api_key.c.rotated_at,
    api_key.c.revoked_at,
    api_key.c.last_used_at,
).select_from(api_key.outerjoin(partner))
PARTNERS = select(partner.c.id, partner.c.slug, partner.c.name, partner.c.created_at)
SESSION = select(session.c.key_id, session.c.expires_at).where(session.c.secret_hash == bindparam("hash"))
ENDED_SESSION = select(session.c.key_id).where(session.c.expires_at <= bindparam("now")).limit(1)
VERSION = select(key_version.c.version).where(key_version.c.id == 1)
NOTE_USE = update(api_key).where(api_key.c.id == bindparam("key")).values(last_used_at=bindparam("at"))
