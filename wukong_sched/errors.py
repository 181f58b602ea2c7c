"""Errors, by who is at fault: the caller, a task, or the infrastructure.

The caller made a program that cannot run (`ProgramError`) or asked for too much (`MemoryLimitError`).
A task raised (`TaskError`; it carries the task's story and the cause). The infrastructure failed in spite of
all retries (`InfrastructureError`), or the engine broke its own rules (`ProtocolError`, a bug to report).
"""

from __future__ import annotations

from dataclasses import dataclass


class SchedulerError(Exception):
    """Everything that this engine raises of itself."""


class ProgramError(SchedulerError, ValueError):
    """The program given is not one: a cycle, a tile with two writers, a reference to nothing."""


class MemoryLimitError(SchedulerError, MemoryError):
    """A task cannot fit into the memory limit; raised before anything runs."""


class NestedComputeError(SchedulerError, RuntimeError):
    """A task tried to compute another job from within."""


class InfrastructureError(SchedulerError, RuntimeError):
    """Storage, coordination or functions failed, and retries did not help."""


class ProtocolError(SchedulerError, AssertionError):
    """An event came in a phase in which it cannot: a bug of a driver or of the core."""


class JobCancelled(SchedulerError):
    """The job was ended by its user."""


class JobSwept(SchedulerError, LookupError):
    """The job is over, and nothing is left of it: somebody else has fetched its results."""


@dataclass(frozen=True, slots=True)
class Story:
    """What a failed task was doing, in words that its user knows."""

    operation: str
    """The operation, for example ``cholesky``."""
    array: str
    """Name of the array that the task writes."""
    index: tuple[int, ...]
    """Block index of the first tile that it writes."""
    cause: str
    """Type and message of the exception."""

    def __str__(self) -> str:
        return self.told(f"block {self.index} of array {self.array!r}")

    def told(self, what: str) -> str:
        """The story of what failed, in the words of whoever gave the program.

        >>> Story("add", "value", (3,), "TypeError: no").told("task 'x'")
        "add: task 'x' failed: TypeError: no"
        """
        return f"{self.operation}: {what} failed: {self.cause}"


class TaskError(SchedulerError):
    """An exception inside a task; `story` says which, `__cause__` is the exception itself."""

    def __init__(self, story: Story) -> None:
        super().__init__(str(story))
        self.story = story

    def __reduce__(self) -> tuple[type[TaskError], tuple[Story]]:
        return type(self), (self.story,)


def raised(story: Story, cause: BaseException | None) -> TaskError:
    """The error for a task that raised, with the exception as its cause."""
    error = TaskError(story)
    error.__cause__ = cause
    return error
