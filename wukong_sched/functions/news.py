"""How far a job is: now and then each executor says how many tasks it has run, in the name of an empty object.

Whoever wants to know lists the names, and reads nothing. Without somebody who looks, nothing is said.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from wukong_sched.functions.plan import news_key
from wukong_sched.storage.objects import Objects


@dataclass(slots=True)
class News:
    """What one executor says."""

    objects: Objects = field(repr=False)
    job: str
    token: str
    """Of the executor's attempt."""
    every: float
    """Seconds between two words; infinity: none."""
    last: float
    """When the last word was said."""

    def tell(self, tasks: int) -> None:
        """So many tasks have run so far."""
        if self.every < math.inf and (now := time.monotonic()) - self.last >= self.every:
            self.last = now
            self.objects.put({news_key(self.job, f"{self.token}-{tasks}"): [b"news"]})


def told(objects: Objects, job: str) -> int:
    """How many tasks all executors of a job have run, as far as they said.

    >>> import tempfile
    >>> from wukong_sched.storage.filesystem import FilesystemObjects
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     objects = FilesystemObjects(directory)
    ...     News(objects, "job", "a", 0.0, 0.0).tell(3)
    ...     News(objects, "job", "a", 0.0, 0.0).tell(5)
    ...     News(objects, "job", "b", 0.0, 0.0).tell(1)
    ...     told(objects, "job")
    6
    """
    counts: dict[str, int] = {}
    for key in objects.keys(news_key(job, "")):
        token, _, tasks = key.rpartition("/")[2].rpartition("-")
        counts[token] = max(counts.get(token, 0), int(tasks))
    return sum(counts.values())
