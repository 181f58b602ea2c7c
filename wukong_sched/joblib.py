"""A backend of joblib: ``joblib.parallel_backend("sarray")``.

joblib knows a backend by name once that is registered with it, and looks nowhere by itself. So this module, whose only
purpose that is, registers the backend when it is imported; `sarray.joblib` is another name of it. ::

    import joblib, sarray.joblib

    with joblib.parallel_backend("sarray", n_jobs=2):              # or parallel_config(backend="sarray")
        joblib.Parallel()(joblib.delayed(abs)(i) for i in range(-100, 0))

Options, here or of `joblib.Parallel`: ``executor="functions"`` runs calls in processes of this machine. A call that
itself uses joblib runs that one after the other where it is, also if it asks for this backend by name: the workers are
all busy already.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from joblib._parallel_backends import FallbackToBackend, SequentialBackend  # type: ignore[import-untyped]
from joblib.parallel import AutoBatchingMixin, ParallelBackendBase, register_parallel_backend  # type: ignore[import-untyped]

from wukong_sched.futures.executor import FunctionExecutor, engine_of
from wukong_sched.machine import processors

NAME = "sarray"


class SarrayBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """Runs joblib's batches of calls, each a task, on a `FunctionExecutor` of its own."""

    supports_retrieve_callback = True
    supports_timeout = True
    default_n_jobs = -1

    def __init__(self, *args: Any, executor: str = "threads", **options: Any) -> None:
        super().__init__(*args, **options)
        self._usual = executor
        self._executor: FunctionExecutor | None = None
        self._workers = 1
        self._use(executor)

    def _use(self, executor: str) -> None:
        engine_of(executor)
        self.executor_name = executor
        self.uses_threads = self.supports_sharedmem = executor == "threads"

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Calls that run at once: all processors but ``-1 - n_jobs`` if that is negative; within a call, one."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning; give -1 for all processors")
        if self.nesting_level:
            return 1
        asked = -1 if n_jobs is None else n_jobs
        return asked if asked > 0 else max(1, processors() + 1 + asked)

    def configure(self, n_jobs: int = 1, parallel: Any = None, executor: str | None = None, **options: Any) -> int:
        """Be ready for the calls of one `Parallel`, which may ask for another executor than is usual here."""
        self._use(executor or self._usual)
        if options.get("require") == "sharedmem" and not self.supports_sharedmem:
            raise ValueError(f'require="sharedmem" needs executor="threads", not {self.executor_name!r}')
        if self.nesting_level:
            raise FallbackToBackend(self.get_nested_backend()[0])
        if self._executor is not None and self._executor.executor != self.executor_name:
            self._end(wait=False, cancel=False)
        self.parallel = parallel
        self._workers = self.effective_n_jobs(n_jobs)
        return self._workers

    def submit(self, func: Callable[[], Any], callback: Callable[[Future[Any]], None] | None = None) -> Future[Any]:
        """The future of a batch."""
        if self._executor is None:
            self._executor = FunctionExecutor(self.executor_name, self._workers)
        future = self._executor.submit(called, func)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """What a batch returned, or raised."""
        return out.result()

    def terminate(self) -> None:
        """Free the workers; whoever comes next uses the usual executor."""
        self._end(wait=True)
        self._use(self._usual)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Cancel what waits; what runs ends by itself."""
        self._end(wait=False)

    def _end(self, wait: bool, cancel: bool = True) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait, cancel_futures=cancel)

    def get_nested_backend(self) -> tuple[Any, None]:
        """Within a call, one after the other."""
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None


def called(batch: Callable[[], Any]) -> Any:
    """What a batch returns; to find this function by its name, a process imports this module, and has the backend."""
    return batch()


def register() -> None:
    """Tell joblib of the backend."""
    register_parallel_backend(NAME, SarrayBackend)


register()
