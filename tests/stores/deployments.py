"""Redis as it is met in the cloud: a cluster of several nodes, and a server behind TLS with a password."""

import contextlib
import select
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from wukong_sched.services.valkey import find_binary
from wukong_sched.storage.cluster import SLOTS, Deployment, Node, raised
from wukong_sched.storage.resp import Address, Command


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(contextlib.closing(socket.socket())) for _ in range(count)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]


def ask(port, *words):
    node = Node(Address("127.0.0.1", port))
    try:
        return raised(node.send([Command("", words)])[0])
    finally:
        node.close()


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the cluster has not come up")
        time.sleep(0.02)


def up(port):
    try:
        return ask(port, "PING") == b"PONG"
    except OSError:
        return False


def served(ports):
    return all(b"cluster_state:ok" in bytes(ask(port, "CLUSTER", "INFO")) for port in ports) and all(
        sum(last + 1 - first for first, last, *_ in ask(port, "CLUSTER", "SLOTS")) == SLOTS for port in ports
    )


@contextlib.contextmanager
def cluster(count=3):
    """Ports of a cluster's nodes, on 127.0.0.1."""
    ports = free_ports(2 * count)
    nodes, buses = ports[:count], ports[count:]
    with contextlib.ExitStack() as stack:
        for node, bus in zip(nodes, buses, strict=True):
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="node-"))
            stack.enter_context(cluster_node(node, bus, directory))
        bounds = [SLOTS * number // count for number in range(count + 1)]
        for number, node in enumerate(nodes):
            wait_for(lambda node=node: up(node))
            ask(node, "CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
            ask(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node, bus in list(zip(nodes, buses, strict=True))[1:]:
            ask(nodes[0], "CLUSTER", "MEET", "127.0.0.1", node, bus)
        wait_for(lambda: served(nodes))
        yield nodes


@contextlib.contextmanager
def cluster_node(port, bus, directory):
    settings = {
        "port": port,
        "cluster-port": bus,
        "bind": "127.0.0.1",
        "cluster-enabled": "yes",
        "cluster-node-timeout": 2000,
        "save": "",
        "dir": directory,
    }
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    process = subprocess.Popen([find_binary(), *words], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def move_slot(ports, number, target):
    """Give one empty slot to another node."""
    identity = bytes(ask(target, "CLUSTER", "MYID")).decode()
    for port in ports:
        ask(port, "CLUSTER", "SETSLOT", number, "NODE", identity)


def certificate(directory):
    """Certificate and key of a server at 127.0.0.1, signed by itself."""
    paths = directory / "certificate.pem", directory / "key.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=127.0.0.1"
    words += " -addext subjectAltName=IP:127.0.0.1 -addext keyUsage=critical,digitalSignature,keyCertSign"
    subprocess.run([*words.split(), "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    return paths


@contextlib.contextmanager
def behind_tls(path, certificate, key):
    """Port of a TLS front of the server at a unix socket."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def accept():
        while not over.is_set():
            if select.select([listener], [], [], 0.05)[0]:
                client, _ = listener.accept()
                threads.append(threading.Thread(target=forward, args=(context, client, path, over)))
                threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        for thread in threads:
            thread.join()
        listener.close()


def forward(context, client, path, over):
    """Pass bytes on, both ways, until one side ends."""
    with (
        contextlib.suppress(OSError),
        context.wrap_socket(client, server_side=True) as outside,
        socket.socket(socket.AF_UNIX) as inside,
    ):
        inside.connect(str(path))
        while not over.is_set():
            if not outside.pending() and not readable(outside, inside, seconds=0.05):
                continue
            for end, other in ((outside, inside), (inside, outside)):
                if (end is outside and outside.pending()) or readable(end):
                    data = end.recv(1 << 18)
                    if not data:
                        return
                    other.sendall(data)


def readable(*ends, seconds=0):
    return bool(select.select(ends, [], [], seconds)[0])


def command(server: Deployment, *words):
    return server.one(Command(str(words[1]) if len(words) > 1 else "", words))
