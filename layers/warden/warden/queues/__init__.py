"""The queues: batches as Lambda delivers them, and the messages on the case queue."""
