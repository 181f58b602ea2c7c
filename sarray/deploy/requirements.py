"""What the function needs beside the project itself, in the versions that this environment has.

A job is only taken by a function with the client's Python and NumPy, since it is a pickled program whose results shall
have the same bits; so the function gets the client's versions of everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata

DISTRIBUTION = "sarray"
EXTRA = "aws"
"""Lambda's images have a boto3 of their own, which AWS replaces when it likes; the function brings the one that was
tested with it, since S3's conditional writes and Lambda's recursion header depend on its version."""
NAME = re.compile(r"[A-Za-z0-9._-]+")
IN_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


class Missing(LookupError):
    """The project, or something it needs, is not installed here."""


def required() -> list[str]:
    """Names of the distributions that the function imports."""
    try:
        listed = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError as error:
        raise Missing(
            f"{DISTRIBUTION} is not installed here, so its needs are unknown; type: pip install '{DISTRIBUTION}[aws]'"
        ) from error
    return sorted(_names(listed))


def _names(listed: Iterable[str]) -> set[str]:
    """Of those listed, what is needed always and for Lambda.

    >>> sorted(_names(["numpy>=2.0", 'boto3>=1.34; extra == "aws"', 'dask; extra == "dask"']))
    ['boto3', 'numpy']
    """
    found = set()
    for text in listed:
        requirement, _, marker = text.partition(";")
        extra, name = IN_EXTRA.search(marker), NAME.match(requirement.strip())
        if name is not None and (extra is None or extra[1] == EXTRA):
            found.add(name[0])
    return found


def pinned(names: Iterable[str]) -> list[str]:
    """Each with the version that is installed here; raises Missing for what is not."""
    found, absent = [], []
    for name in names:
        try:
            found.append(f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            absent.append(name)
    if absent:
        raise Missing(f"not installed here: {', '.join(absent)}; type: pip install {' '.join(absent)}")
    return found


def installed() -> list[str]:
    """Everything that is installed here, pinned: the versions of whatever those need in turn."""
    versions = {found.name.lower(): found.version for found in metadata.distributions() if found.name}
    return sorted(f"{name}=={version}" for name, version in versions.items() if name != DISTRIBUTION)
