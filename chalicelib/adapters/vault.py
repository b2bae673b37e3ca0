"""Secrets under one site's master key, and secrets sealed for one site's public key.

    wrapped   version (1) + nonce (12) + AES-256-GCM(secret)
    sealed    version (1) + ephemeral X25519 public key (32) + AES-256-GCM(secret)
    kept      wrapped, or 2 + sealed where the master key was not at hand (SealedVault)

Keys    the wrapping key and the X25519 pair are derived from the 32-byte master key by HKDF-SHA-256, so
        that one file is all there is to keep. A sealing key serves once: its nonce is all zeros
Context what the secret belongs to, authenticated with it: a secret moved elsewhere does not open
Errors  Corrupt: changed, swapped, made under another key or of an unknown version
        ValueError: a public key that cannot be sealed for · PermissionError: see `load_or_create_master_key`
Source  RFC 5869, RFC 7748, NIST SP 800-38D; DESIGN §5 "Users and buckets".
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chalicelib.domain.errors import Corrupt, Refused
from chalicelib.ports.system import Ids

KEY_BYTES = 32
_VERSION = b"\x01"
_KEPT_SEALED = b"\x02"
_NONCE_BYTES = 12
_NOT_HERE = "the master key of that site is not here"
_ONE_USE_NONCE = bytes(_NONCE_BYTES)


class AesVault:
    """Wraps and seals; `ids` gives the nonces and ephemeral keys."""

    def __init__(self, master_key: bytes, ids: Ids) -> None:
        if len(master_key) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes, not {len(master_key)}")
        self._ids = ids
        self._wrapping = AESGCM(_derive(master_key, b"causeway wrap 1"))
        self._private = X25519PrivateKey.from_private_bytes(_derive(master_key, b"causeway seal 1"))
        self._public = self._private.public_key().public_bytes_raw()

    def wrap(self, secret: str, context: str) -> bytes:
        """Encrypt for this site."""
        nonce = self._random(_NONCE_BYTES)
        return _VERSION + nonce + self._wrapping.encrypt(nonce, secret.encode(), context.encode())

    def unwrap(self, wrapped: bytes, context: str) -> str:
        """Open what `wrap` made."""
        nonce, body = _cut(wrapped, _NONCE_BYTES)
        return _open(self._wrapping, nonce, body, context)

    def public_key(self) -> bytes:
        """32 bytes X25519, the same as long as the master key is."""
        return self._public

    def seal(self, public_key: bytes, secret: str, context: str) -> bytes:
        """Encrypt for the owner of `public_key`; this site cannot open it again."""
        ephemeral = X25519PrivateKey.from_private_bytes(self._random(KEY_BYTES))
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public_key))
        sender = ephemeral.public_key().public_bytes_raw()
        cipher = _sealing(shared, sender, public_key)
        return _VERSION + sender + cipher.encrypt(_ONE_USE_NONCE, secret.encode(), context.encode())

    def unseal(self, sealed: bytes, context: str) -> str:
        """Open what somebody sealed for this site."""
        sender, body = _cut(sealed, KEY_BYTES)
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(sender))
        except ValueError as problem:  # a point of low order: nobody honest sends one
            raise Corrupt("not sealed by X25519") from problem
        return _open(_sealing(shared, sender, self._public), _ONE_USE_NONCE, body, context)

    def keep(self, sealed: bytes, context: str) -> bytes:
        """Wrapped, now that the key is at hand."""
        return self.wrap(self.unseal(sealed, context), context)

    def open(self, kept: bytes, context: str) -> str:
        """Open what `wrap` or anybody's `keep` made."""
        if kept[:1] == _KEPT_SEALED:
            return self.unseal(kept[1:], context)
        return self.unwrap(kept, context)

    def _random(self, nbytes: int) -> bytes:
        return bytes.fromhex(self._ids.token(nbytes))


class SealedVault:
    """The vault of a site whose tables are at hand and whose master key is not: it can keep what was
    sealed for the site, and open nothing."""

    def __init__(self, public_key: bytes) -> None:
        self._public = public_key

    def public_key(self) -> bytes:
        """The site's."""
        return self._public

    def keep(self, sealed: bytes, context: str) -> bytes:
        """As it is, marked as such."""
        _cut(sealed, KEY_BYTES)
        return _KEPT_SEALED + sealed

    def wrap(self, secret: str, context: str) -> bytes:
        """Refused."""
        raise Refused(_NOT_HERE)

    def seal(self, public_key: bytes, secret: str, context: str) -> bytes:
        """Refused."""
        raise Refused(_NOT_HERE)

    def unwrap(self, wrapped: bytes, context: str) -> str:
        """Refused."""
        raise Refused(_NOT_HERE)

    def unseal(self, sealed: bytes, context: str) -> str:
        """Refused."""
        raise Refused(_NOT_HERE)

    def open(self, kept: bytes, context: str) -> str:
        """Refused."""
        raise Refused(_NOT_HERE)


def load_or_create_master_key(path: Path, ids: Ids) -> bytes:
    """The master key in the file at `path`, 64 hex digits, made at the first start.

    Raises PermissionError if others may read the file and ValueError if it holds no key: a site
    that made itself a new one would lose every secret it has.
    """
    if not path.exists():
        draft = path.with_name(f".{path.name}.{ids.token(8)}")
        _write_key(path, draft, ids.token(KEY_BYTES))
    with path.open("rb") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise PermissionError(f"the master key can be read by others: run chmod 600 {path}")
        text = file.read(1024)
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path} holds no master key: {2 * KEY_BYTES} hex digits are expected")
    return key


def _write_key(path: Path, draft: Path, digits: str) -> None:
    """Whole or not at all, and never over another process's: link refuses what is there."""
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "w") as file:
            file.write(digits + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose).derive(key)


def _sealing(shared: bytes, sender: bytes, receiver: bytes) -> AESGCM:
    return AESGCM(_derive(shared, b"causeway sealed 1" + sender + receiver))


def _cut(stored: bytes, head_bytes: int) -> tuple[bytes, bytes]:
    if stored[:1] != _VERSION or len(stored) < 1 + head_bytes:
        raise Corrupt("not a secret of a version this site knows")
    return stored[1 : 1 + head_bytes], stored[1 + head_bytes :]


def _open(cipher: AESGCM, nonce: bytes, body: bytes, context: str) -> str:
    try:
        return cipher.decrypt(nonce, body, context.encode()).decode()
    except (InvalidTag, ValueError) as problem:
        raise Corrupt("a secret was changed, moved or made under another key") from problem
