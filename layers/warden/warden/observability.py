"""Logs and metrics: one line of JSON for each record, one metric line for each run."""

from __future__ import annotations

from aws_lambda_powertools import Logger, Metrics

logger = Logger(service="fleet-warden", utc=True)
metrics = Metrics(namespace="FleetWarden", service="fleet-warden")
