"""A DAG engine whose executors schedule each other: implicit programs, one pure core, several drivers."""
