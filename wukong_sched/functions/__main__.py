"""The service's process: reads its settings from a pipe, says where it listens, and ends when the pipe closes.

The pipe is held open by whoever started it, so however that process ends, this one follows: it ends its sandboxes
and removes its directory. A stopped (SIGSTOP) owner stops nothing here.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from wukong_sched.functions.front import Front
from wukong_sched.functions.http_server import listen
from wukong_sched.functions.service import Service
from wukong_sched.functions.settings import FunctionSettings


async def serve(given: Mapping[str, str]) -> None:
    """Run the service that the first line of the pipe describes until the pipe ends."""
    service = Service(FunctionSettings.from_json(given["settings"]))
    front = Front(service, given["access_key"])
    limit = service.settings.synchronous_payload + (1 << 20)
    server, port = await listen(front.answer, limit)
    service.surroundings = surroundings(port, given["access_key"])
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.add_reader(sys.stdin.fileno(), _hear, over)
    service.provision()
    print(port, flush=True)
    try:
        await over.wait()
    finally:
        server.close()
        await service.close()


def surroundings(port: int, access_key: str) -> dict[str, str]:
    """What a function needs to invoke functions: the variables that AWS sets, and boto3 reads."""
    return {
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": access_key,
        "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{port}",
    }


def _hear(over: asyncio.Event) -> None:
    """Something on the pipe: its end."""
    if not os.read(sys.stdin.fileno(), 4096):
        over.set()


def main() -> None:
    """Serve until the owner is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = b""
    while not line.endswith(b"\n"):
        read = os.read(sys.stdin.fileno(), 1)
        if not read:
            return
        line += read
    given = json.loads(line)
    home = Path(given["directory"])
    try:
        home.mkdir(mode=0o700, exist_ok=True)
        asyncio.run(serve(given))
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
