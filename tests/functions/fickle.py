"""A handler whose module cannot be imported as long as a certain file lacks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

if not Path(os.environ.get("FICKLE", __file__)).exists():
    raise ImportError("not yet")


def handler(event: Any, context: Any) -> int:
    """This process."""
    return os.getpid()
