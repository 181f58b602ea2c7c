"""Whether the package `kernels` is the one that came with sarray: another project installs a package of that name."""

from __future__ import annotations

import kernels

MARKER = "SARRAY_KERNELS"


def check() -> None:
    """Raise ImportError if `kernels` is somebody else's."""
    if not getattr(kernels, MARKER, False):
        where = getattr(kernels, "__file__", None) or next(iter(getattr(kernels, "__path__", ["an unknown place"])))
        raise ImportError(
            f"sarray needs its own package 'kernels', but Python finds another project's at {where}; "
            "uninstall that one (pip uninstall kernels) and install sarray again (pip install --force-reinstall sarray)"
        )
