"""Containments: what was taken from a device, and giving it back."""
