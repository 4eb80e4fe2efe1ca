"""Keys: `/api/keys`. For administrators only; who may what stands in `test_roles.py`."""

import re
from typing import Any

import pytest
from sqlalchemy import select

from tests.world import World
from tocsin.access import actions
from tocsin.access.model import NewKey, hashed, new_secret
from tocsin.db.engine import Database
from tocsin.db.schema import api_key
from tocsin.db.transaction import CLOCK, Reader
from tocsin.timeline import log as timeline

FIELDS = (
    "id", "name", "role", "partner", "created_at", "rotated_at", "old_secret_until", "revoked_at", "last_used_at"
)  # fmt: skip


def in_another_process(world: World, action: Any, wish: Any) -> Any:
    """What `tocsin keys` does beside the running server."""

    async def work() -> Any:
        db = Database(world.service.settings, log=timeline.append, clock=world.clock)
        db.start()
        try:
            return await db.write(action, wish)
        finally:
            await db.close()

    return world.run(work())


def key_of(world: World, name: str) -> dict[str, Any]:
    (found,) = [key for key in world.admin.get("/api/keys").json["keys"] if key["name"] == name]
    return dict(found)


@pytest.mark.parametrize("role", ["admin", "operator", "viewer", "monitoring"])
def test_a_new_key_is_shown_once_and_works_at_once(world: World, role: str) -> None:
    answer = world.admin.makes_key("night shift", role)
    assert answer.status == 201
    key, secret = answer.json["key"], answer.json["secret"]
    assert answer.headers["location"] == f"/api/keys/{key['id']}"
    assert tuple(key) == FIELDS
    assert (key["name"], key["role"], key["created_at"]) == ("night shift", role, "2026-11-23T08:15:30.167Z")
    assert re.fullmatch(rf"tcs_{key['id']}_[A-Za-z0-9_-]{{43}}", secret)
    assert world.stranger.with_key(secret).lists().status == 200
    assert world.admin.get(f"/api/keys/{key['id']}").json["key"].items() >= (key | {"last_used_at": None}).items()
    assert secret.encode() not in world.admin.get("/api/keys").body


def test_secrets_are_kept_only_as_hashes(world: World) -> None:
    secret = world.admin.makes_key().json["secret"].split("_", 2)[2]

    def rows(reader: Reader) -> list[Any]:
        return list(reader.rows(select(api_key).order_by(api_key.c.id.desc()).limit(1)))

    (row,) = world.reads(rows)
    assert row.secret_hash == hashed(secret)
    assert secret not in repr(row)


def test_the_list_has_every_key_without_secrets(world: World) -> None:
    answer = world.admin.get("/api/keys")
    names = [key["name"] for key in answer.json["keys"]]
    assert names == ["first key", "ada", "bob", "vera", "probe", "acme", "globex"]
    for person in (world.admin, world.ada, world.acme):
        assert person.key is not None
        assert person.key.split("_", 2)[2].encode() not in answer.body


def test_the_key_from_the_environment_is_listed_and_never_stored(world: World) -> None:
    world.restarts(api_key="given from outside")
    keys = world.admin.get("/api/keys").json["keys"]
    assert (keys[0]["id"], keys[0]["name"], keys[0]["role"]) == (None, "from the environment", "admin")
    world.restarts()
    assert "from the environment" not in [key["name"] for key in world.admin.get("/api/keys").json["keys"]]


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        ({"name": "x", "role": "owner"}, "role"),
        ({"name": "", "role": "admin"}, "name"),
        ({"name": "  ", "role": "admin"}, "name"),
        ({"name": "x" * 201, "role": "admin"}, "name"),
        ({"name": "x"}, "role"),
        ({"role": "admin"}, "name"),
        ({"name": "x", "role": "partner"}, "partner"),
        ({"name": "x", "role": "admin", "partner": "acme"}, "partner"),
        ({"name": "x", "role": "partner", "partner": "Acme Ltd"}, "slug"),
        ({"name": "x", "role": "admin", "secret": "1234"}, "secret"),
    ],
)
def test_a_draft_that_cannot_be_is_422_and_makes_no_key(world: World, draft: dict[str, str], field: str) -> None:
    answer = world.admin.post("/api/keys", draft)
    assert (answer.status, answer.fields) == (422, [field])
    assert len(world.admin.get("/api/keys").json["keys"]) == 7


def test_a_key_for_a_new_partner_makes_the_partner_and_several_keys_share_it(world: World) -> None:
    first = world.newcomer("partner", "initech by day", partner="initech")
    second = world.newcomer("partner", "initech by night", partner="initech")
    incident = first.filed()
    assert second.sees(incident).status == 200
    slugs = [partner["slug"] for partner in world.admin.get("/api/partners").json["partners"]]
    assert slugs == ["acme", "globex", "initech"]


def test_an_unknown_key_is_404(world: World) -> None:
    for answer in (
        world.admin.get("/api/keys/999"),
        world.admin.ask("DELETE", "/api/keys/999"),
        world.admin.post("/api/keys/999/rotate"),
    ):
        assert (answer.status, answer.problem) == (404, "not-found")


def test_after_a_rotation_the_old_secret_is_good_until_the_overlap_ends(world: World) -> None:
    number = key_of(world, "ada")["id"]
    answer = world.admin.post(f"/api/keys/{number}/rotate", {"overlap_seconds": 3600})
    assert answer.status == 200
    assert answer.json["key"]["rotated_at"] == "2026-11-23T08:15:30.167Z"
    assert answer.json["key"]["old_secret_until"] == "2026-11-23T09:15:30.167Z"
    renewed = world.ada.with_key(answer.json["secret"])
    assert (world.ada.lists().status, renewed.lists().status) == (200, 200)
    world.clock.forward(minutes=59, seconds=59)
    assert (world.ada.lists().status, renewed.lists().status) == (200, 200)
    world.clock.forward(seconds=1)
    assert world.ada.lists().problem == "wrong-key"
    assert renewed.lists().status == 200


def test_without_a_word_the_overlap_is_a_day(world: World) -> None:
    number = key_of(world, "ada")["id"]
    until = world.admin.post(f"/api/keys/{number}/rotate").json["key"]["old_secret_until"]
    assert until == "2026-11-24T08:15:30.167Z"


def test_an_overlap_of_nothing_ends_the_old_secret_at_once(world: World) -> None:
    number = key_of(world, "ada")["id"]
    world.admin.post(f"/api/keys/{number}/rotate", {"overlap_seconds": 0})
    assert world.ada.lists().problem == "wrong-key"


@pytest.mark.parametrize("seconds", [-1, 30 * 24 * 3600 + 1, 10**40, 1.5, "3600", None])
def test_an_overlap_that_cannot_be_is_422(world: World, seconds: Any) -> None:
    number = key_of(world, "ada")["id"]
    answer = world.admin.post(f"/api/keys/{number}/rotate", {"overlap_seconds": seconds})
    assert (answer.status, answer.fields) == (422, ["overlap_seconds"])
    assert world.ada.lists().status == 200


def test_a_rotated_key_is_the_same_key(world: World) -> None:
    mine = world.probe.filed()
    number = key_of(world, "probe")["id"]
    secret = world.admin.post(f"/api/keys/{number}/rotate").json["secret"]
    assert world.probe.with_key(secret).sees(mine).status == 200


def test_a_revoked_key_is_dead_at_once_and_stays_in_the_list(world: World) -> None:
    number = key_of(world, "ada")["id"]
    answer = world.admin.ask("DELETE", f"/api/keys/{number}")
    assert answer.status == 200
    assert answer.json["key"]["revoked_at"] == "2026-11-23T08:15:30.167Z"
    assert world.ada.lists().problem == "wrong-key"
    assert key_of(world, "ada")["revoked_at"] is not None


def test_revoking_ends_the_overlap_too(world: World) -> None:
    number = key_of(world, "ada")["id"]
    renewed = world.ada.with_key(world.admin.post(f"/api/keys/{number}/rotate").json["secret"])
    world.admin.ask("DELETE", f"/api/keys/{number}")
    assert (world.ada.lists().problem, renewed.lists().problem) == ("wrong-key", "wrong-key")


def test_revoking_twice_is_revoking_once(world: World) -> None:
    number = key_of(world, "ada")["id"]
    first = world.admin.ask("DELETE", f"/api/keys/{number}").json
    world.clock.forward(hours=1)
    assert world.admin.ask("DELETE", f"/api/keys/{number}").json == first


def test_a_revoked_key_cannot_be_rotated(world: World) -> None:
    number = key_of(world, "ada")["id"]
    world.admin.ask("DELETE", f"/api/keys/{number}")
    assert world.admin.post(f"/api/keys/{number}/rotate").status == 422


def test_a_key_made_by_another_process_is_known_at_once(world: World) -> None:
    made: NewKey = in_another_process(
        world, actions.create_key, actions.CreateKey("cli", "operator", None, new_secret(), CLOCK)
    )
    assert world.stranger.with_key(made.text).files().status == 201


def test_a_key_revoked_by_another_process_is_dead_after_the_next_look(world: World) -> None:
    assert world.ada.lists().status == 200
    in_another_process(world, actions.revoke_key, actions.RevokeKey(key_of(world, "ada")["id"], CLOCK))
    world.run(world.service.directory.refresh())
    assert world.ada.lists().problem == "wrong-key"


def test_when_a_key_was_last_used_is_written_once_a_minute_at_most(world: World) -> None:
    def last_used() -> Any:
        world.run(world.service.directory.write_last_used())
        return key_of(world, "ada")["last_used_at"]

    assert last_used() is None
    world.ada.lists()
    assert last_used() == "2026-11-23T08:15:30.167Z"
    world.clock.forward(seconds=59)
    world.ada.lists()
    assert last_used() == "2026-11-23T08:15:30.167Z"
    world.clock.forward(seconds=1)
    world.ada.lists()
    assert last_used() == "2026-11-23T08:16:30.167Z"


def test_using_a_key_is_no_entry_of_the_timeline(world: World) -> None:
    before = world.admin.timeline().entries
    world.ada.lists()
    world.run(world.service.directory.write_last_used())
    assert world.admin.timeline().entries == before


def test_partners_are_added_and_listed_by_slug(world: World) -> None:
    answer = world.admin.post("/api/partners", {"slug": "aardvark", "name": "Aardvark & Söhne"})
    assert answer.status == 201
    assert answer.json["partner"]["name"] == "Aardvark & Söhne"
    assert world.admin.post("/api/partners", {"slug": "zeta"}).json["partner"]["name"] == "zeta"
    slugs = [partner["slug"] for partner in world.admin.get("/api/partners").json["partners"]]
    assert slugs == ["aardvark", "acme", "globex", "zeta"]
    assert world.ada.filed(partner="zeta")["partner"] == "zeta"


def test_a_partner_that_is_there_already_is_409(world: World) -> None:
    assert world.admin.post("/api/partners", {"slug": "acme"}).problem == "already-there"


@pytest.mark.parametrize("slug", ["", "-", "a-", "-a", "Acme", "a b", "ä", "a" * 65, "a\n", "a/b"])
def test_a_slug_that_cannot_be_is_422(world: World, slug: str) -> None:
    answer = world.admin.post("/api/partners", {"slug": slug})
    assert (answer.status, answer.fields) == (422, ["slug"])
