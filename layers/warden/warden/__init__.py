"""Fleet Warden: answers AWS IoT security findings, and can prove what it did."""
