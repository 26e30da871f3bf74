"""Sealing credentials with AES-256-GCM, and opening them in the process that uses them.

Sealed: one byte version, four bytes that name the key (the first of its SHA-256), twelve bytes nonce, ciphertext
with its tag. The context (`account:17`) is bound to it: a sealed value copied to another row does not open.
Keys come newest first; to rotate, put a new one in front and seal everything anew.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.errors import ConfigurationError, SealError
from app.i18n import N_
from app.settings import Settings

VERSION = 1
KEY_BYTES = 32
NAME_BYTES = 4
NONCE_BYTES = 12
HEAD_BYTES = 1 + NAME_BYTES + NONCE_BYTES
TAG_BYTES = 16


class Vault:
    """The keys at hand, newest first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Keep keys of 32 bytes each; the first one seals."""
        self._newest = key_name(keys[0])
        self._first = keys[0]
        self._keys = {key_name(key): AESGCM(key) for key in keys}

    @classmethod
    def load(cls, settings: Settings, *, create: bool = False) -> Self:
        """Read the keys from the environment, else from the key file; with `create`, make that file when missing.

        Raises ConfigurationError when there is no key, or one that is none.
        """
        if settings.key is not None and settings.key.get_secret_value().strip():
            return cls(_read_keys(settings.key.get_secret_value().split(","), "CARELINE_KEY"))
        path = settings.seal_key_file
        if create:
            _create(path)
        try:
            lines = path.read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            raise ConfigurationError(
                N_(
                    "There is no key to seal credentials with: CARELINE_KEY is not set and %(path)s does not exist. Make one with `openssl rand -base64 32`, and keep a copy apart from the database."
                )
                % {"path": path}
            ) from None
        except OSError as error:
            raise ConfigurationError(
                N_("The key file %(path)s cannot be read: %(strerror)s.") % {"path": path, "strerror": error.strerror}
            ) from error
        return cls(_read_keys(lines, str(path)))

    def seal(self, data: bytes, context: str) -> bytes:
        """Seal `data` for the row that `context` names, with the newest key."""
        nonce = os.urandom(NONCE_BYTES)
        head = bytes([VERSION]) + self._newest
        return head + nonce + self._keys[self._newest].encrypt(nonce, data, head + context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Open what was sealed for the same row. Raises SealError: wrong row, changed, or its key is not at hand."""
        if len(sealed) < HEAD_BYTES + TAG_BYTES or sealed[0] != VERSION:
            raise SealError(N_("The credentials of %(context)s are damaged. Enter them again.") % {"context": context})
        head, nonce = sealed[: 1 + NAME_BYTES], sealed[1 + NAME_BYTES : HEAD_BYTES]
        key = self._keys.get(head[1:])
        if key is None:
            raise SealError(
                N_(
                    "The credentials of %(context)s were sealed with the key %(key)s, which is not at hand. Add that key behind the present ones, or enter the credentials again."
                )
                % {"context": context, "key": head[1:].hex()}
            )
        try:
            return key.decrypt(nonce, sealed[HEAD_BYTES:], head + context.encode())
        except InvalidTag as error:
            raise SealError(
                N_(
                    "The credentials of %(context)s do not open: they were changed, or belong to another row. Enter them again."
                )
                % {"context": context}
            ) from error

    def derived(self, purpose: str) -> bytes:
        """32 bytes for another purpose (a code that is printed, say), from the newest key; they tell nothing about it."""
        return hmac.digest(self._first, purpose.encode(), hashlib.sha256)

    def needs_rotation(self, sealed: bytes) -> bool:
        """Whether this was sealed with another key than the newest."""
        return sealed[: 1 + NAME_BYTES] != bytes([VERSION]) + self._newest


def key_name(key: bytes) -> bytes:
    """What names a key in a sealed value, and tells nothing of it."""
    return hashlib.sha256(key).digest()[:NAME_BYTES]


def new_key() -> str:
    """A new key as it stands in the environment or the key file."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def _read_keys(texts: Sequence[str], where: str) -> list[bytes]:
    keys = [_read_key(text.strip(), where) for text in texts if text.strip() and not text.strip().startswith("#")]
    if not keys:
        raise ConfigurationError(
            N_("%(where)s holds no key. Make one with `openssl rand -base64 32`.") % {"where": where}
        )
    return keys


def _read_key(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            N_("A key in %(where)s is not base64 of %(key_bytes)s bytes. Make one with `openssl rand -base64 32`.")
            % {"where": where, "key_bytes": KEY_BYTES}
        )
    return key


def _create(path: Path) -> None:
    """Write a first key, readable by us alone; whole or not at all, and never over another."""
    if path.exists():
        return
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(new_key() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(unfinished)
        except FileExistsError:
            return  # another process was first: its key counts
        finally:
            unfinished.unlink()
    except OSError as error:
        raise ConfigurationError(
            N_("The key file %(path)s cannot be written: %(strerror)s.") % {"path": path, "strerror": error.strerror}
        ) from error
