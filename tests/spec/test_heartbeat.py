"""Signs of life: a watcher outside hears of Tocsin while it can write, and nothing when it cannot."""

import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.phones import Came, Said, breaks_off
from tests.world import World
from tocsin.delivery.heartbeat import Heartbeat
from tocsin.kit import metrics
from tocsin.kit.errors import Unavailable

PATH = "/ping/3d8c-secret?rid=7"


class Watched:
    """A world with a watcher: `gives_a_sign` is one look of the loop, which the test does itself."""

    def __init__(self, world: World, every: float = 60) -> None:
        self._world = world
        world.restarts(heartbeat_url=SecretStr(world.receiver.url + PATH), heartbeat_every=every)
        world.run(world.until(lambda: bool(world.receiver.came)))  # the loop's own first one
        world.without_loop("send a sign of life")
        self.looks()
        world.receiver.came.clear()

    def looks(self) -> None:
        self._world.run(self._world.service.part(Heartbeat).once())

    def after(self, seconds: float) -> int:
        """Moves the clock and looks; how many signs have come since the test began."""
        self._world.clock.forward(seconds=seconds)
        self.looks()
        return len(self._world.receiver.came)


@pytest.fixture
def watched(world: World) -> Watched:
    return Watched(world)


async def away(*_: Any, **__: Any) -> None:
    raise Unavailable("The database is away.")


def figure(world: World, line: str) -> float:
    text = world.stranger.get("/metrics").body.decode()
    return float(next(each for each in text.splitlines() if each.startswith(line + " ")).rpartition(" ")[2])


def test_the_watcher_is_asked_once_in_each_period(world: World, watched: Watched) -> None:
    assert watched.after(59) == 0
    assert watched.after(1) == 1
    assert watched.after(30) == 1
    assert watched.after(30) == 2
    came = world.receiver.came[0]
    assert (came.method, came.path, came.body) == ("GET", PATH, b"")
    assert came.headers["user-agent"] == "Tocsin"
    assert not {"authorization", "cookie", "x-api-key"} & set(came.headers)


def test_a_sign_means_that_a_write_was_committed(world: World, watched: Watched) -> None:
    committed = 'tocsin_batches_total{outcome="committed"}'
    before = figure(world, committed)
    watched.after(60)
    assert figure(world, committed) > before
    assert figure(world, "tocsin_alive_at_seconds") == pytest.approx(world.clock.now.timestamp())


def test_it_falls_silent_when_it_cannot_write_and_is_heard_again_afterwards(world: World, watched: Watched) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.service.db.batcher._engine, "transaction", away)
        assert [watched.after(60), watched.after(10), watched.after(10)] == [0, 0, 0]
        assert world.stranger.get("/readyz").status == 503
    (line,) = world.log.events("signs of life are withheld")
    assert (line["level"], line["reason"]) == ("warning", "The database is away.")
    assert watched.after(9) == 0
    assert watched.after(1) == 1
    assert len(world.log.events("signs of life arrive")) == 2  # at the start, and now


def says_no(came: Came) -> Said:
    return 404, {}, b"no such check"


def leads_elsewhere(came: Came) -> Said:
    return 302, {"location": "/elsewhere"}, b""


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (says_no, "it answered 404"),
        (leads_elsewhere, "it answered 302"),
        (breaks_off, "the connection broke off"),
    ],
)
def test_a_watcher_that_does_not_take_it_is_said_once_and_asked_again_soon(
    world: World, watched: Watched, says: Any, reason: str
) -> None:
    taken, world.receiver.says = world.receiver.says, says
    failed = 'tocsin_heartbeats_total{outcome="failed"}'
    watched.after(60)
    before = figure(world, failed)
    for _ in range(3):
        watched.after(10)
    assert figure(world, failed) == before + 3
    (line,) = world.log.events("a sign of life did not arrive")
    assert (line["level"], line["reason"]) == ("warning", reason)
    assert all(came.path == PATH for came in world.receiver.came)  # not led elsewhere
    world.receiver.says = taken
    watched.after(10)
    assert world.log.events("signs of life arrive")[-1]["level"] == "info"


def test_a_watcher_that_is_not_there_costs_the_requests_nothing(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    world.restarts(heartbeat_url=SecretStr(f"http://127.0.0.1:{port}{PATH}"))
    world.run(world.until(lambda: bool(world._log.events("a sign of life did not arrive"))))
    assert world.ada.files().status == 201
    assert world.stranger.get("/readyz").status == 200


def test_the_address_is_in_no_line_and_on_no_page(world: World, watched: Watched) -> None:
    world.receiver.says = says_no
    watched.after(60)
    assert world.log.events("a sign of life did not arrive")
    assert "secret" not in world.log.text
    assert "3d8c" not in world.stranger.get("/metrics").body.decode()


def test_a_private_address_is_the_administrator_s_own_word(world: World) -> None:
    """What channels may not do: their addresses are a user's input, this one is a setting."""
    world.restarts(
        heartbeat_url=SecretStr(world.receiver.url + PATH), allowed_targets="", allowed_ports="443", heartbeat_every=60
    )
    world.run(world.until(lambda: bool(world.receiver.came)))


def test_without_a_watcher_nothing_is_written_for_it(world: World) -> None:
    world.without_loop("send a sign of life")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.service.db, "write", None)
        world.clock.forward(hours=1)
        world.run(world.service.part(Heartbeat).once())


def test_a_clock_that_was_set_back_does_not_silence_it(world: World, watched: Watched) -> None:
    assert watched.after(-3600) == 1
    assert watched.after(60) == 2


class Together:
    """Several processes of one server, as their figures say it: this one is the eldest, or it is not."""

    def __init__(self, world: World, patch: pytest.MonkeyPatch, me: int) -> None:
        self.others: dict[int, float] = {}
        self._world, own = world, metrics.signs_of_life
        patch.setattr(metrics, "signs_of_life", lambda: {me: next(iter(own().values()))} | self.others)
        patch.setattr("tocsin.delivery.heartbeat.os.getpid", lambda: me)

    def gave(self, pid: int, ago: float) -> None:
        self.others[pid] = self._world.clock.now.timestamp() - ago


@pytest.fixture
def four(world: World, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> Together:
    together = Together(world, monkeypatch, me=10)
    world.service.part(Heartbeat)._processes = 4
    return together


def test_the_eldest_speaks_for_all_of_several_processes(world: World, watched: Watched, four: Together) -> None:
    world.clock.forward(seconds=60)
    for pid in (11, 12, 13):
        four.gave(pid, ago=120)
    watched.looks()
    assert len(world.receiver.came) == 1
    four.gave(9, ago=1)  # an elder one
    assert watched.after(60) == 1


@pytest.mark.parametrize("ago", [126, None])
def test_one_that_hangs_or_is_gone_silences_all(
    world: World, watched: Watched, four: Together, ago: float | None
) -> None:
    world.clock.forward(seconds=60)
    for pid in (11, 12):
        four.gave(pid, ago=1)
    if ago is not None:
        four.gave(13, ago)
    watched.looks()
    assert not world.receiver.came
    (line,) = world.log.events("signs of life are withheld")
    assert line["reason"] == "1 of 4 processes give no sign"
    four.gave(13, ago=0)
    assert watched.after(10) == 1


def test_each_worker_s_sign_is_read_from_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prometheus_client import values

    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    for pid, at in ((71, 1000.5), (72, 2000.25)):
        own = values.MultiProcessValue(lambda pid=pid: pid)  # type: ignore[no-untyped-call]
        for name, value in (("tocsin_ready", 1.0), ("tocsin_alive_at_seconds", at)):
            own("gauge", name, name, (), (), "", multiprocess_mode="livemin").set(value)
    (tmp_path / "gauge_livemin_73.db").touch()  # a worker that has just begun
    assert metrics.signs_of_life() == {71: 1000.5, 72: 2000.25}
