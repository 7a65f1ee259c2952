"""From a message to findings on the case queue."""
