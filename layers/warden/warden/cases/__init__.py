"""Cases: what is known of a problem, and what may be done about it."""
