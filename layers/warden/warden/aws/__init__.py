"""The ports on AWS, one module for each. Only these and the composition root import boto3."""
