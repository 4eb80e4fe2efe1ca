"""The files under `/static/`: their bytes, type and ETag, read once and kept.

Only names found by walking the package's own folder exist: a path is looked up, never opened.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

# What a browser may ask for; a file with any other ending lies beside these for readers of the source.
KINDS = {
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
    "txt": b"text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is served; `gzipped` is None where compressing it does not make it smaller."""

    body: bytes
    kind: bytes
    etag: bytes
    gzipped: bytes | None


def asset(path: str) -> Asset | None:
    """The file at a path below `/static/`, such as `vendor/swagger-ui/swagger-ui.css`; None if there is none."""
    # Asked before the cache, which strangers' wrong guesses would fill for ever.
    return _load(path) if path in _files() else None


@cache
def _load(path: str) -> Asset:
    body = _files()[path].read_bytes()
    gzipped = gzip.compress(body, mtime=0)
    return Asset(
        body=body,
        kind=KINDS[_ending(path)],
        # Weak, because the same tag stands for the plain and the gzipped form.
        etag=b'W/"%s"' % hashlib.sha256(body).hexdigest().encode(),
        gzipped=gzipped if len(gzipped) < len(body) else None,
    )


@cache
def _files() -> dict[str, Traversable]:
    return dict(_walk(resources.files("tocsin.web") / "static", ""))


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for item in folder.iterdir():
        name = prefix + item.name
        if item.is_dir():
            found += _walk(item, name + "/")
        elif _ending(name) in KINDS:
            found.append((name, item))
    return found


def _ending(name: str) -> str:
    return name.rpartition(".")[2]
