"""Cases: what is known about a problem, and what may be done about it."""
