"""The PyWren and numpywren ways to run a program, beside which this engine is measured.

Both are correct executors on the same functions, with the same kernels and codec: what differs is who schedules, and
where blocks are kept.
"""
