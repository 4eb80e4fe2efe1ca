"""Roles and keys, as one table each: `access/model.py`."""

from datetime import UTC, datetime, timedelta

import pytest

from tocsin.access.model import (
    ENVIRONMENT,
    MAY,
    MAY_FILE,
    ROLES,
    SLUG,
    Key,
    Permission,
    Principal,
    Role,
    hashed,
    is_weak,
    new_secret,
    taken_apart,
    written,
)

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
# Fixed, because they stand in the names of tests, which must be the same in every process.
SECRET = "Zq3-_9aTRmN0xWvE7LkPdYhUbGcJsFoI5tQeXyV1wB8"
FORMER = SECRET[::-1]

# What each role may, in the order admin, operator, viewer, monitoring, partner.
PERMISSIONS: dict[Permission, str] = {
    "incidents:file": "yes yes no yes yes",
    "incidents:read": "yes yes yes yes yes",
    "incidents:change": "yes yes no yes yes",
    "incidents:acknowledge": "yes yes no yes no",
    "timeline:read": "yes yes yes yes yes",
    "reports:send": "yes yes no yes yes",
    "reports:read": "yes yes yes yes no",
    "integrations:read": "yes yes no no no",
    "integrations:manage": "yes no no no no",
    "channels:read": "yes yes no no no",
    "channels:manage": "yes no no no no",
    "keys:manage": "yes no no no no",
    "partners:manage": "yes no no no no",
}


def key(**other: object) -> Key:
    values: dict[str, object] = dict.fromkeys(("partner", "partner_id", "rotated_at", "revoked_at", "last_used_at"))
    values |= {"id": 7, "name": "night", "role": "operator", "secret_hash": hashed(SECRET), "created_at": NOW}
    values |= {"former_hash": None, "former_until": None}
    return Key(**(values | other))  # type: ignore[arg-type]


def test_the_table_of_roles_is_the_contracts() -> None:
    assert ROLES == ("admin", "operator", "viewer", "monitoring", "partner")
    said = {name: " ".join("yes" if role in MAY[name] else "no" for role in ROLES) for name in MAY}
    assert said == PERMISSIONS


@pytest.mark.parametrize(
    ("role", "sources"),
    [
        ("admin", {"operator", "monitoring", "partner"}),
        ("operator", {"operator", "monitoring", "partner"}),
        ("viewer", set()),
        ("monitoring", {"monitoring"}),
        ("partner", {"partner"}),
    ],
)
def test_a_role_files_under_its_sources(role: Role, sources: set[str]) -> None:
    assert MAY_FILE[role] == sources


@pytest.mark.parametrize("role", ROLES)
def test_people_see_all(role: Role) -> None:
    assert Principal(1, role, "x").sees_all == (role in ("admin", "operator", "viewer"))


def test_a_key_is_32_random_bytes_with_its_id_before_them() -> None:
    text = written(7, SECRET)
    assert text == f"tcs_7_{SECRET}"
    assert len(new_secret()) == len(SECRET) == 43
    assert len({new_secret() for _ in range(100)}) == 100
    assert taken_apart(text) == (7, hashed(SECRET))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tcs_",
        SECRET,
        f"tcs_0_{SECRET}",
        f"tcs_07_{SECRET}",
        f"tcs_-7_{SECRET}",
        f"tcs_{10**19}_{SECRET}",
        f"tcs_7_{SECRET}x",
        f"tcs_7_{SECRET[:-1]}",
        f"tcs_7_{SECRET[:-1]}=",
        f"tcs_7_{SECRET}\n",
        f" tcs_7_{SECRET}",
        f"TCS_7_{SECRET}",
        f"tcs_٧_{SECRET}",
    ],
)
def test_anything_else_is_no_key(text: str) -> None:
    assert taken_apart(text) is None


# the key, the secret that is tried, the time after NOW, whether it opens
CASES = [
    (key(), SECRET, timedelta(0), True),
    (key(), FORMER, timedelta(0), False),
    (key(revoked_at=NOW), SECRET, timedelta(0), False),
    (key(former_hash=hashed(FORMER), former_until=NOW), SECRET, timedelta(days=9), True),
    (key(former_hash=hashed(FORMER), former_until=NOW), FORMER, timedelta(microseconds=-1), True),
    (key(former_hash=hashed(FORMER), former_until=NOW), FORMER, timedelta(0), False),
    (key(former_hash=hashed(FORMER), former_until=NOW, revoked_at=NOW), FORMER, timedelta(-1), False),
    (key(former_hash=hashed(FORMER)), FORMER, timedelta(0), False),
]


@pytest.mark.parametrize(("kept", "secret", "later", "opens"), CASES)
def test_which_secret_opens_when(kept: Key, secret: str, later: timedelta, opens: bool) -> None:
    assert kept.opens_with(hashed(secret), NOW + later) is opens


def test_a_keys_principal_is_its_owner_whatever_the_secret() -> None:
    assert key().principal == key(secret_hash=hashed(FORMER)).principal
    assert key().principal.owner == "7"
    assert ENVIRONMENT.owner == "environment"


@pytest.mark.parametrize("slug", ["a", "7", "acme", "acme-2", "a" * 64, "a--b"])
def test_good_slugs(slug: str) -> None:
    assert SLUG.fullmatch(slug)


@pytest.mark.parametrize("slug", ["", "-", "-a", "a-", "A", "a_b", "a b", "é", "a" * 65, "a\n"])
def test_wrong_slugs(slug: str) -> None:
    assert not SLUG.fullmatch(slug)


@pytest.mark.parametrize(
    ("secret", "weak"),
    [
        ("your_api_key_here", True),
        ("short", True),
        ("a" * 40, True),
        ("please-changeme-now-1", True),
        ("4f9d2c7be1a8035d", False),
        (SECRET, False),
    ],
)
def test_which_admin_keys_could_be_guessed(secret: str, weak: bool) -> None:
    assert is_weak(secret) is weak
