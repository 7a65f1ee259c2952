"""Fleet Warden: responds to AWS IoT security findings, and can prove what it did."""

import gc

gc.set_threshold(100_000, 20, 20)
"""Imported modules are never garbage: collecting every 2,000 objects took an eighth of a cold start."""
