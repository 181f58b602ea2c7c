"""The proxy microburst, which speaks AWS's and Redis's protocols and fails when told to."""

import contextlib
import json
import subprocess
import sys
import urllib.request
from dataclasses import dataclass

from tests.stores.deployments import free_ports
from tests.stores.ministack import wait_for


@dataclass(frozen=True)
class Proxy:
    """One that runs."""

    port: int
    control: int

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def _ask(self, method, path, content=None):
        data = None if content is None else json.dumps(content).encode()
        url = f"http://127.0.0.1:{self.control}/_microburst/{path}"
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def rules(self, *rules):
        """These alone, from now on; what has fired is forgotten."""
        self._ask("POST", "rules", list(rules))
        self._ask("DELETE", "fired")

    def fired(self):
        """What each strike did."""
        return [event["action"] for event in self._ask("GET", "fired?limit=100000")]


@contextlib.contextmanager
def microburst(upstream, protocol="http"):
    """A proxy in front of this address."""
    port, control = free_ports(2)
    control = port if protocol == "http" else control
    command = [sys.executable, "-m", "microburst", "--protocol", protocol, "--upstream", upstream]
    command += ["--port", str(port), "--control-port", str(control), "--no-resign"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as process:
        try:
            wait_for(f"http://127.0.0.1:{control}/_microburst/health", process)
            yield Proxy(port, control)
        finally:
            process.terminate()
            process.wait()
