"""One file per operation: `infer` says shape, dtype and chunks, `lower` says the recurrences."""
