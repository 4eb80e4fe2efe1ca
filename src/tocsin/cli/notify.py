"""What systemd hears of a service of `Type=notify`: one datagram to the socket that it names. Elsewhere nobody listens.

The protocol is sd_notify(3)'s, and this is all of it that Tocsin needs: systemd itself knows when it stops us.
"""

import contextlib
import os
import socket


def ready() -> None:
    """Requests are answered from here on. Of several workers each says so; the first one counts."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    # A name that begins with @ is in Linux's abstract space.
    address = "\0" + place[1:] if place.startswith("@") else place
    # Nobody there, or nobody who reads: that must not keep the server from serving.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        line.sendto(b"READY=1", address)
