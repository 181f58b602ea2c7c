"""How executors agree: one record per executor, moved by one atomic commit."""
