"""Objects in this process: what the simulator's functions store, encoded and counted as any other store would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence

from wukong_sched.storage.codec import Buffer
from wukong_sched.storage.objects import Objects, Pieces, Tally, size


class MemoryObjects:
    """Values in `values`, which several stores may share, each with a tally of its own.

    >>> objects = MemoryObjects({})
    >>> objects.put({"a": [b"some ", b"bytes"]})
    >>> bytes(objects.get(["a"])["a"]), objects.tally.bytes_written
    (b'some bytes', 10)
    """

    def __init__(self, values: MutableMapping[str, bytes], tally: Tally | None = None) -> None:
        self._values = values
        self.tally = Tally() if tally is None else tally

    def put(self, values: Mapping[str, Pieces]) -> None:
        for key, pieces in values.items():
            if key not in self._values:
                self._values[key] = b"".join(pieces)
        self.tally.add(written=sum(map(size, values.values())), puts=len(values))

    def get(self, keys: Sequence[str]) -> dict[str, Buffer]:
        found: dict[str, Buffer] = {key: bytearray(self._values[key]) for key in keys if key in self._values}
        self.tally.add(read=sum(map(len, found.values())), gets=len(keys))
        return found

    def delete(self, keys: Sequence[str]) -> Sequence[str]:
        self.tally.add(deletes=len(keys))
        return [key for key in keys if self._values.pop(key, None) is None]

    def keys(self, prefix: str) -> Iterable[str]:
        self.tally.add(gets=1)
        return [key for key in self._values if key.startswith(prefix)]

    def sweep(self, prefix: str) -> None:
        self.delete([key for key in self._values if key.startswith(prefix)])


_: type[Objects] = MemoryObjects
