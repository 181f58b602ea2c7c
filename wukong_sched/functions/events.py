"""What an invocation carries: which executor of which job, and perhaps small tiles that it will need.

``{"job", "program", "fingerprint", "keeps", "id", "share", "tiles": {key: base64}}``; a watchdog's event has an empty
id. Nothing in it is secret, and nothing in it is trusted beyond being data.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class JobName:
    """Which job, and which program it runs."""

    job: str
    program: str
    """Hash of the signed program, by which a warm process knows it."""
    fingerprint: str = ""
    """Of the client; see `plan.fingerprint`."""
    keeps: bool = False
    """Whether wanted tiles outlive the job, under their own names."""


@dataclass(frozen=True, slots=True)
class Message:
    """One invocation."""

    name: JobName
    id: str
    """Of the executor; empty: look after the whole job."""
    share: int = 1
    """How many executors this one may count on, itself among them, where nobody can say who is free; for a watchdog,
    the whole job."""
    sent: float = 0.0
    """By the wall clock of whoever invokes, in seconds since 1970; 0: nobody measures."""
    every: float = 0.0
    """Of a watchdog that looks after the job by itself: seconds between two looks; 0: once."""
    tiles: Mapping[str, bytes] = field(default_factory=dict)
    """Values of the store by key, as a hint."""

    def to_json(self) -> bytes:
        """The event.

        >>> Message(JobName("j", "p"), "a[0]").to_json()
        b'{"job":"j","program":"p","fingerprint":"","keeps":false,"id":"a[0]","share":1}'
        """
        event: dict[str, Any] = {**asdict(self.name), "id": self.id, "share": self.share}
        if self.sent:
            event["sent"] = self.sent
        if self.every:
            event["every"] = self.every
        if self.tiles:
            event["tiles"] = {key: base64.b64encode(data).decode("ascii") for key, data in self.tiles.items()}
        return json.dumps(event, separators=(",", ":")).encode()

    @staticmethod
    def from_event(event: Mapping[str, Any]) -> Message:
        """What `to_json` wrote, parsed by somebody."""
        tiles = {key: base64.b64decode(data) for key, data in event.get("tiles", {}).items()}
        name = JobName(event["job"], event["program"], event["fingerprint"], event["keeps"])
        return Message(name, event["id"], event["share"], event.get("sent", 0.0), event.get("every", 0.0), tiles)
