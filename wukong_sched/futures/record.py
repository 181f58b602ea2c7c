"""What the jobs of an executor did, if somebody wants to know."""

from __future__ import annotations

from dataclasses import dataclass, field

from wukong_sched.messages import Run
from wukong_sched.program import Program
from wukong_sched.trace import Trace


@dataclass(frozen=True, slots=True)
class Record:
    """One job: its program, in which every call is a task, and what its executors did."""

    program: Program
    trace: Trace | None
    """What the executor recorded: of "serial", nothing."""

    def ran(self) -> int:
        """Tasks that executors were told to run."""
        histories = self.trace.histories.values() if self.trace is not None else ()
        said = (each for history in histories for entry in history.entries for each in entry.instructions)
        return sum(len(each.steps) for each in said if isinstance(each, Run))


@dataclass(slots=True)
class Records:
    """The records of all jobs, oldest first; empty unless `wanted`."""

    wanted: bool = False
    records: list[Record] = field(default_factory=list)

    def trace(self) -> Trace | None:
        """A trace for a new job."""
        return Trace() if self.wanted else None

    def add(self, program: Program, trace: Trace | None) -> None:
        """A job has ended."""
        if self.wanted:
            self.records.append(Record(program, trace))
