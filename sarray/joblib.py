"""``import sarray.joblib`` registers ``joblib.parallel_backend("sarray")``; see `wukong_sched.joblib`."""

from __future__ import annotations

from wukong_sched.joblib import SarrayBackend, register

__all__ = ["SarrayBackend", "register"]
