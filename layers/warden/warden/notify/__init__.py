"""Notices for people, events for programs."""
