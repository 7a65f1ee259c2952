"""The survey: what the account has of the security baseline, whose it is, and whether anything can still be heard."""
