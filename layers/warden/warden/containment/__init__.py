"""Containments: what was taken from a device, and how it is given back."""
