"""Why nobody who may be the main thread waits without an end.

CPython's signal handler only makes a note; the main thread raises `KeyboardInterrupt` when it next looks. A signal that
comes between its last look and the system call in which it blocks does not end that call: it is heard when somebody
else wakes the thread, which in a long job is never. So whoever waits looks up every `LISTEN` seconds.
"""

from __future__ import annotations

LISTEN = 0.1
"""Seconds."""
