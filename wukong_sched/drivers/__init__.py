"""Drivers carry out the core's instructions somewhere: here, in threads, in virtual time."""
