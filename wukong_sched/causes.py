"""What a task of a graph raised, as whoever computes the graph gets it: itself, with a note that names the task.

Tasks in other processes raise `Left`, since what they raise may be anything, an exception that cannot be pickled, or
loaded again, among them.
"""

from __future__ import annotations

from dataclasses import replace

from wukong_sched.drivers.pump import cause_of
from wukong_sched.errors import Story, TaskError
from wukong_sched.explicit import Explicit
from wukong_sched.futures.parcel import Failed


class Left(Exception):
    """A task raised, in another process; `failed` has what and where."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed)
        self.failed = failed


def exception_of(error: TaskError, program: Explicit) -> BaseException:
    """What the task raised, with a note that names it by its key; the error itself if no exception is behind it."""
    cause = error.__cause__
    if cause is None:
        return error
    if isinstance(cause, Left):
        cause = cause.failed.open()
    cause.add_note(_told(replace(error.story, cause=cause_of(cause)), program))
    return cause


def _told(story: Story, program: Explicit) -> str:
    if not story.index:  # of the whole job
        return str(story)
    tile = story.array, story.index
    kind = "task" if program.is_task_array(story.array) else "data of"
    return story.told(f"{kind} {program.key_of(tile)!r}")
