"""What a function of the local service is, and what it may use: Lambda's own limits, as settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from wukong_sched.links import EVENT_BYTES


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """One function: its code, its environment and its limits.

    The environment holds the key that programs are signed with; it is shown nowhere.

    >>> FunctionSettings(handler="json.dumps", environment={"KEY": "secret"}).name
    'sarray'
    """

    handler: str
    """``module.function``, called with an event and a context."""
    name: str = "sarray"
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    path: tuple[str, ...] = ()
    """Directories to import from, beside those of the interpreter."""
    log: str = ""
    """File that takes what functions print; empty: nowhere."""
    memory: int = 2048
    """MB of one sandbox."""
    timeout: float = 900.0
    """Seconds of one invocation."""
    concurrency: int = 2
    """Sandboxes at once."""
    provisioned: int = 0
    """Sandboxes that are started with the service."""
    synchronous_payload: int = 6 * 2**20
    """Bytes of a request or a response."""
    asynchronous_payload: int = EVENT_BYTES
    """Bytes of an event."""
    asynchronous_queue: int = 100_000
    """Events that may wait; beyond it, a request is throttled."""
    retries: int = 2
    """Of an event whose invocation failed."""
    retry_seconds: float = 0.1
    """Before the first retry, and twice as long before the second (Lambda: 60)."""
    init_seconds: float = 30.0
    """Until a new sandbox asks for its first invocation (Lambda: 10, and then once more with the invocation)."""
    idle_seconds: float = 300.0
    """Until a sandbox without work ends."""

    def to_json(self) -> str:
        """The settings as one line; it holds the environment, so it belongs into a private pipe only."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> FunctionSettings:
        """What `to_json` wrote."""
        values = json.loads(text)
        return FunctionSettings(**{**values, "path": tuple(values["path"])})
