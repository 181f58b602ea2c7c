"""Objects as files, of many jobs: what a killed process left unfinished lies beneath its job, and goes with it."""

from __future__ import annotations

from collections.abc import Mapping

from wukong_sched.storage.filesystem import FilesystemObjects
from wukong_sched.storage.objects import Objects, Pieces, StoreFull

JOBS = "jobs/"


class JobFiles(FilesystemObjects):
    """Values of a key ``jobs/name/...`` are written aside below ``jobs/name``; all others below `current`."""

    current: str = ""
    """Key prefix of the job that this process works for."""

    def put(self, values: Mapping[str, Pieces]) -> None:
        by_job: dict[str, dict[str, Pieces]] = {}
        for key, pieces in values.items():
            by_job.setdefault(job_prefix(key) or self.current, {})[key] = pieces
        full: list[StoreFull] = []
        for prefix, part in by_job.items():
            try:
                FilesystemObjects(self.directory, self.tally, scratch=prefix).put(part)
            except StoreFull as error:
                full.append(error)
        if full:
            raise StoreFull(str(full[0]), [key for error in full for key in error.keys]) from full[0]


def job_prefix(key: str) -> str:
    """The part of a key that names its job; nothing if it is no job's own.

    >>> job_prefix("jobs/1/tiles/a[0]"), job_prefix("tiles/a[0]")
    ('jobs/1/', '')
    """
    return "/".join([*key.split("/", 2)[:2], ""]) if key.startswith(JOBS) else ""


_: type[Objects] = JobFiles
