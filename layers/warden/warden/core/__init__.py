"""What everything stands on: errors, time, records, ports, findings, logs."""
