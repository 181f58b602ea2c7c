"""Servers that run beside a job on this machine, and end with it."""
