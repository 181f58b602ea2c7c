"""Any Python object as bytes: cloudpickled and signed with the job's key.

Layout: ``magic 4s | HMAC-SHA256 32s | pickle``. The signature covers the object's name too, so that one object cannot
be passed off as another. Nothing is loaded before its signature is checked: whoever can write to the store, but does
not have the key, can make a job fail and nothing more.
"""

from __future__ import annotations

import hmac
from typing import Any

from wukong_sched.errors import InfrastructureError
from wukong_sched.storage import pickled
from wukong_sched.storage.codec import Buffer

MAGIC = b"SGND"
DIGEST = "sha256"
HEAD = len(MAGIC) + 32


class SignatureError(InfrastructureError):
    """A stored object does not carry the signature of this job's key; it was not loaded."""


def sign(value: Any, key: bytes, name: object = "?") -> list[Buffer]:
    """The pieces of a signed object.

    >>> verify(b"".join(sign({"a": {1, 2}}, b"key", "settings")), b"key", "settings")
    {'a': {1, 2}}
    """
    data = pickled.dumps(value)
    return [MAGIC + _digest(key, name, data), data]


def verify(data: Buffer, key: bytes, name: object = "?") -> Any:
    """The object that was signed under this name; raises SignatureError unless the signature is this key's."""
    view = memoryview(data)
    if view[: len(MAGIC)] != MAGIC or len(view) < HEAD:
        raise SignatureError(f"{name}: not a signed object; it is not loaded")
    if not hmac.compare_digest(bytes(view[len(MAGIC) : HEAD]), _digest(key, name, view[HEAD:])):
        raise SignatureError(f"{name}: the signature is not that of this job's key; it is not loaded")
    return pickled.loads(view[HEAD:])


def _digest(key: bytes, name: object, data: Buffer) -> bytes:
    digest = hmac.new(key, f"{name}\0".encode(), DIGEST)
    digest.update(data)
    return digest.digest()
