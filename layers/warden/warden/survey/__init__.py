"""The survey: what the account has of the security baseline, whose it is, and whether findings can still arrive."""
