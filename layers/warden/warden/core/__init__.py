"""What every other room uses: errors, time, records, ports, findings, logs."""
