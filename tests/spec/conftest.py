"""What tests of raw connections have."""

import socket
from collections.abc import Iterator

import pytest

from tests.running import ADDRESS
from tests.world import World


@pytest.fixture
def line(world: World) -> Iterator[socket.socket]:
    with socket.create_connection((ADDRESS, world.port), timeout=10) as line:
        yield line
