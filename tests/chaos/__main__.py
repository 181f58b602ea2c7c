"""``python -m tests.chaos [--seconds 120] [--seed N]``: exit status 1 if anything was wrong, or too few kills hit."""

from __future__ import annotations

import argparse
import secrets
import sys

from tests.chaos.run import chaos


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    given = parser.parse_args(arguments)
    print(f"seed {given.seed} (repeat with --seed {given.seed})", flush=True)
    summary = chaos(given.seconds, given.seed)
    print(summary)
    return 0 if summary.is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
