"""The operator's command: read the cases, decide about one, stop the service, check and explain the response plan."""
