"""One key: its text, and what is kept of it."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Scope = Literal["read", "write", "admin"]
"""read: ask and look; write: post events; admin: change what is served. None of them includes another."""

ALL_SCOPES: tuple[Scope, ...] = ("read", "write", "admin")

_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
_TEXT = re.compile(r"bb_([a-z0-9]{4,32})_([0-9a-f]{64})")


@dataclass(frozen=True, repr=False)
class Key:
    """A key in the hands of its owner. Prints without its secret; `text` is the only way to it.

    Attributes:
        id: The public part.
        secret: 256 random bits, 64 hexadecimal digits.
    """

    id: str
    secret: str

    @classmethod
    def new(cls) -> Key:
        """A key nobody has seen."""
        return cls("".join(secrets.choice(_LETTERS) for _ in range(10)), secrets.token_hex(32))

    @classmethod
    def parse(cls, text: str) -> Key | None:
        """The key a text spells; None where it spells none."""
        found = _TEXT.fullmatch(text)
        return None if found is None else cls(found[1], found[2])

    @property
    def text(self) -> str:
        """What goes behind `Authorization: Bearer`."""
        return f"bb_{self.id}_{self.secret}"

    @property
    def digest(self) -> bytes:
        """SHA-256 of the secret, 32 bytes."""
        return hashlib.sha256(self.secret.encode()).digest()

    def record(self, name: str, scopes: Iterable[Scope]) -> KeyRecord:
        """What is kept of this key."""
        wanted = set(scopes)
        ordered = tuple(scope for scope in ALL_SCOPES if scope in wanted)
        return KeyRecord(self.id, name, ordered, time.time_ns() // 1_000_000, self.digest)

    def __repr__(self) -> str:
        return f"Key(bb_{self.id}_...)"


@dataclass(frozen=True)
class KeyRecord:
    """A key as the server knows it.

    Attributes:
        id: The public part of the key.
        name: What it is for, in its maker's words.
        scopes: What it opens.
        created: Milliseconds UTC.
        digest: SHA-256 of the secret, 32 bytes.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created: int
    digest: bytes = field(repr=False)
