"""The queues: batches as Lambda hands them over, and the messages on the case queue."""
