"""PyWren's interface: ``map`` returns futures at once, `get_all_results` gathers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from wukong_sched.drivers.named import Progress
from wukong_sched.futures.calls import CallFuture
from wukong_sched.futures.executor import FunctionExecutor


class Runner:
    """Calls functions, each call a task, and returns futures.

    >>> with Runner(FunctionExecutor()) as runner:
    ...     get_all_results(runner.map(lambda x: x + 7, [0, 1, 2]))
    [7, 8, 9]
    """

    def __init__(self, executor: FunctionExecutor) -> None:
        self.executor = executor

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    def call_async(self, func: Callable[[Any], Any], data: Any) -> CallFuture:
        """The future of ``func(data)``."""
        return self.executor.submit(func, data)

    def map(self, func: Callable[[Any], Any], iterdata: Iterable[Any]) -> list[CallFuture]:
        """The futures of ``func(each)`` for each of the data."""
        return self.executor.submit_all(func, iterdata)

    def reduce(self, function: Callable[[list[Any]], Any], list_of_futures: Iterable[CallFuture]) -> CallFuture:
        """The future of ``function(results)``; the results need not come here."""
        return self.executor.submit(function, list(list_of_futures))

    def shutdown(self) -> None:
        """Wait for all calls, and free everything."""
        self.executor.shutdown()


def default_executor(
    executor: str | int | None = "threads", workers: int | None = None, *, progress: bool | Progress = False
) -> Runner:
    """A runner of its own executor; arguments as of `FunctionExecutor`."""
    return Runner(FunctionExecutor(executor, workers, progress=progress))


def get_all_results(fs: Iterable[CallFuture]) -> list[Any]:
    """All results, in the order of the futures; raises what the first call that failed raised."""
    return [future.result() for future in fs]
