"""The owner's response plan: rules, limits, and terms for renewals."""
