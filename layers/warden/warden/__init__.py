"""Fleet Warden: answers AWS IoT security findings, and can prove what it did."""

import gc

gc.set_threshold(100_000, 20, 20)
"""What a cold start imports stays: looking for garbage in it, every 2,000 objects, took an eighth of the start."""
