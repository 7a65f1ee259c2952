"""The owner's plan: its rules, its limits, its terms for renewals."""
