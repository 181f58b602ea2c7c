"""``python -m sarray.deploy``: build the function's zip, and put it into an account."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sarray.deploy import environment
from sarray.deploy.bytecode import NotWhole
from sarray.deploy.function import LONGEST, Clients, Function, create, update
from sarray.deploy.package import package
from sarray.deploy.requirements import Missing
from sarray.deploy.runtimes import ARCHITECTURES, IMAGES, Glibc, running_python, target
from sarray.deploy.wheels import NoWheels
from wukong_sched.functions.places import Addresses
from wukong_sched.links import FULL_PROCESSOR

FAULTS = (ValueError, Missing, NoWheels, NotWhole, OSError)
"""What is told in one line, without a traceback."""
CLOUD_FAULTS = {"ClientError", "BotoCoreError", "S3UploadFailedError"}
"""Classes of boto3's errors, which are told likewise."""
ZIP, ENVIRONMENT = Path("sarray.zip"), Path("sarray-environment.json")
LEASE, GRACE = 30.0, 10.0


def _package(given: argparse.Namespace) -> None:
    built = package(target(given.python, given.architecture, given.glibc), given.output, given.more)
    print(built)
    if built.target.python != running_python():
        print(f"Only clients that run Python {built.target.python} can use it; this one runs {running_python()}.")


def _environment(given: argparse.Namespace) -> None:
    found = environment.variables(Addresses(given.redis, given.objects, LEASE, GRACE), given.architecture)
    environment.write(given.output, found)
    print(f"{given.output}, readable by you alone: {', '.join(sorted(found))}")


def _create(given: argparse.Namespace) -> None:
    function = Function(
        given.name,
        given.role,
        given.memory,
        given.timeout,
        given.concurrency,
        tuple(given.subnets),
        tuple(given.security_groups),
    )
    print(create(Clients.connect(given.endpoint), function, given.zip, environment.read(given.environment)))


def _update(given: argparse.Namespace) -> None:
    print(update(Clients.connect(given.endpoint), given.name, given.zip, environment.read(given.environment)))


def _glibc(text: str) -> Glibc:
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def _package_options(build: argparse.ArgumentParser) -> None:
    build.add_argument("--output", type=Path, default=ZIP, help="where to write it (%(default)s)")
    build.add_argument("--python", default="", help=f"one of {', '.join(IMAGES)} (this one: {running_python()})")
    build.add_argument("--architecture", default="x86_64", choices=ARCHITECTURES, help="(%(default)s)")
    build.add_argument("--glibc", type=_glibc, help="of the image, if it is not Lambda's own: 2.36, say")
    build.add_argument("--with", dest="more", nargs="+", default=[], metavar="DISTRIBUTION", help="add these too")


def _environment_options(write: argparse.ArgumentParser) -> None:
    write.add_argument("--redis", required=True, help="rediss://user:password@host:port, with ?cluster=1 for a cluster")
    write.add_argument("--objects", required=True, help="s3://bucket")
    write.add_argument("--architecture", default="x86_64", choices=ARCHITECTURES, help="(%(default)s)")
    write.add_argument("--output", type=Path, default=ENVIRONMENT, help="where to write it (%(default)s)")


def _update_options(put: argparse.ArgumentParser) -> None:
    put.add_argument("--name", default="sarray", help="of the function (%(default)s)")
    put.add_argument("--zip", type=Path, default=ZIP, help="what package wrote (%(default)s)")
    put.add_argument("--environment", type=Path, default=ENVIRONMENT, help="what environment wrote (%(default)s)")
    put.add_argument("--endpoint", help="URL of another AWS; default: AWS_ENDPOINT_URL, or AWS itself")


def _create_options(make: argparse.ArgumentParser) -> None:
    _update_options(make)
    make.add_argument("--role", required=True, help="ARN of the role that the function runs as")
    make.add_argument("--memory", type=int, default=FULL_PROCESSOR, help="MB (%(default)s: one processor)")
    make.add_argument("--timeout", type=int, default=LONGEST, help="seconds of an invocation (%(default)s)")
    make.add_argument("--concurrency", type=int, help="reserve so many invocations at once, and allow no more")
    make.add_argument("--subnets", nargs="+", default=[], help="from which the Redis can be reached")
    make.add_argument("--security-groups", nargs="+", default=[])


Command = tuple[str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], None]]
COMMANDS: dict[str, Command] = {
    "package": ("build the function's zip, from wheels", _package_options, _package),
    "environment": ("write the function's environment, with a new key", _environment_options, _environment),
    "create": ("make the function, from zip and environment", _create_options, _create),
    "update": ("give the function a new zip and environment", _update_options, _update),
}


def parser() -> argparse.ArgumentParser:
    """All commands and options."""
    top = argparse.ArgumentParser(prog="python -m sarray.deploy", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="command")
    for name, (told, options, run) in COMMANDS.items():
        command = commands.add_parser(name, help=told, description=told)
        options(command)
        command.set_defaults(run=run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: its exit status."""
    given = parser().parse_args(argv)
    try:
        given.run(given)
    except Exception as error:
        if not is_told(error):
            raise
        print(f"python -m sarray.deploy: {error}", file=sys.stderr)
        return 1
    return 0


def is_told(error: Any) -> bool:
    """Whether an error's message says all."""
    return isinstance(error, FAULTS) or any(kind.__name__ in CLOUD_FAULTS for kind in type(error).__mro__)


if __name__ == "__main__":
    raise SystemExit(main())
