"""Campaigns: which certificates are due, and their renewal in batches."""
