"""The instance's own key: it seals secrets that must be sent again (tokens, passwords) and signs links.

It comes from `TOCSIN_SECRET_KEY`, else from `secret-key` in the data directory (0600), made at the first start.
"""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

FILE = "secret-key"


class Unsealable(Exception):
    """Sealed with another key, or not sealed by us at all."""


class Keyring:
    """`secret` is any long random text; everything else is derived from it."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def seal(self, value: Mapping[str, Any]) -> bytes:
        """Encrypted and authenticated; opened by the same key only."""
        return self._fernet().encrypt(json.dumps(value, ensure_ascii=False).encode())

    def unseal(self, sealed: bytes) -> dict[str, Any]:
        """What was sealed; raises `Unsealable`."""
        from cryptography.fernet import InvalidToken

        try:
            value: dict[str, Any] = json.loads(self._fernet().decrypt(sealed))
        except InvalidToken:
            raise Unsealable("sealed with another key: TOCSIN_SECRET_KEY or data/secret-key has changed") from None
        return value

    def sign(self, purpose: str, value: Any) -> str:
        """A short text for a link. Whoever has it has what it says; expiry belongs into `value`."""
        from itsdangerous import URLSafeSerializer

        signed: str = URLSafeSerializer(self._secret, salt=purpose).dumps(value)
        return signed

    def signed(self, purpose: str, text: str) -> Any | None:
        """What was signed for this purpose; None for anything else."""
        from itsdangerous import BadSignature, URLSafeSerializer

        try:
            return URLSafeSerializer(self._secret, salt=purpose).loads(text)
        except BadSignature:
            return None

    def _fernet(self) -> "Fernet":
        # Imported here: a start of the program needs it only where something is sealed.
        from cryptography.fernet import Fernet

        return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"seal:" + self._secret.encode()).digest()))


def open_keyring(given: str | None, data_dir: Path) -> Keyring:
    """The given key's, else that of the file, which is made where it is missing. Several processes may come at once."""
    if given is not None:
        return Keyring(given)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = data_dir / FILE
    if not file.exists():
        _make(file)
    return Keyring(file.read_text(encoding="ascii").strip())


def _make(file: Path) -> None:
    """Whole or not at all: written beside it and linked into place, so that whoever is second reads the first one's."""
    draft = file.with_name(f"{FILE}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(secrets.token_urlsafe(32) + "\n")
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
