"""API keys: made once, shown once, kept as hashes, checked on every request, revocable while the server runs.

A key is `bb_<id>_<secret>`. The id is public (lists and logs show it); the secret is 256 random bits. What is kept is
the SHA-256 of the secret. Passwords need a slow, salted hash, because people choose them from a list that an attacker
can walk; nobody can walk 2^256 secrets, whatever the hash costs, so a slow hash would only make every request slow.
"""

from bowerbird.serve.api.keys.file import KeyFile, KeyFileError
from bowerbird.serve.api.keys.key import ALL_SCOPES, Key, KeyRecord, Scope
from bowerbird.serve.api.keys.ring import KeyRing

__all__ = ["ALL_SCOPES", "Key", "KeyFile", "KeyFileError", "KeyRecord", "KeyRing", "Scope"]
