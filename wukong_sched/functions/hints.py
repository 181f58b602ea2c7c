"""Small tiles that travel inside the invocation of the executor that needs them, as far as there is room."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wukong_sched.functions.cloud import Cloud
from wukong_sched.functions.events import JobName, Message
from wukong_sched.messages import Owed
from wukong_sched.policy import Policy
from wukong_sched.program import Program, Tile
from wukong_sched.storage.keys import Keys

HEAD = 2048
"""Bytes of an event beside its tiles, at most; identifiers are short."""
OVERHEAD = 8
"""Bytes of quotes and commas around one tile."""


@dataclass(frozen=True, slots=True)
class Hints:
    """Writes the events of one job's executors."""

    name: JobName
    program: Program
    keys: Keys
    cloud: Cloud

    def event(self, id: str, todo: Sequence[Owed], share: int, room: int, policy: Policy) -> bytes:
        """The invocation of an executor that will owe this, in at most so many bytes."""
        keys = list(map(self.keys.key, needs(self.program, todo, policy)))
        values = self.cloud.inline(keys, (room - HEAD) * 3 // 4 - OVERHEAD)
        return Message(self.name, id, share, sent=time.time(), tiles=values).to_json()


def needs(program: Program, todo: Sequence[Owed], policy: Policy) -> Iterator[Tile]:
    """The stored tiles that single tasks read, and that may travel with them; leaves read none."""
    for task in todo:
        for tile in program.inputs(task) if len(task) == 2 else ():
            if program.is_task_array(tile[0]) and policy.inlines(program.nbytes(tile)):
                yield tile
