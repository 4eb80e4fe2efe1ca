"""The parser of requests: httptools' own, which goes on where it would stop."""

from typing import Any, Protocol

from httptools import HttpParserCallbackError, HttpParserUpgrade, HttpRequestParser


class Asked(Protocol):
    """What the parser needs of the connection that it reads for."""

    parser: Any
    offered: bool

    def without_offer(self) -> bytes:
        """The head of the request that offers another protocol, as it would be without."""
        ...

    def stop_hearing(self) -> None:
        """Nothing more is read; what came whole is still answered."""
        ...


class Enough(Exception):
    """Raised by the connection, from within the parser: it reads no further."""


class Parser(HttpRequestParser):
    """Reads on behind an offer of another protocol, with which httptools would leave the body to that one.

    We speak no other, and may pass it by (RFC 9110, 7.8): `curl --http2` offers one with every request.
    """

    def __init__(self, connection: Asked) -> None:
        super().__init__(connection)
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self._connection = connection

    def feed_data(self, data: Any) -> None:
        while data:
            data = self._connection.parser.fed(data)

    def fed(self, data: bytes) -> bytes:
        """What is left to be read by the connection's next parser."""
        connection = self._connection
        try:
            super().feed_data(data)
        except HttpParserUpgrade as offer:
            if connection.offered:
                # A new one: behind a request that closes, one that has seen an offer reads nothing any more.
                head, connection.parser = connection.without_offer(), Parser(connection)
                return head + data[offer.args[0] :]
            connection.stop_hearing()  # CONNECT: what comes behind it is no request of ours
        except HttpParserCallbackError as problem:
            if not isinstance(problem.__context__, Enough):
                raise
        return b""
