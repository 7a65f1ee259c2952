"""The ports on AWS, one module each. Only these and the composition root import boto3."""
