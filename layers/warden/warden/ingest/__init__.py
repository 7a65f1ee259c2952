"""Turn messages into findings on the case queue."""
