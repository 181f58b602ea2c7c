"""The tests of sarray, kernels and wukong_sched."""
