"""Act on findings, decisions and deadlines."""
