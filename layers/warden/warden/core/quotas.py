"""AWS's quotas and name forms, each with its source. Limits of our own choice are where they are used.

The docstring of each names the page: an API reference states it at the operation or the data type, the AWS General
Reference under "endpoints and quotas" of the service.
"""

from __future__ import annotations

from datetime import timedelta

# --- AWS IoT: names ---

THING_NAME = r"[a-zA-Z0-9:_-]{1,128}"
"""AWS IoT API reference, CreateThing, `thingName`."""

POLICY_NAME = r"[A-Za-z0-9_+=,.@-]{1,128}"
"""AWS IoT API reference, CreatePolicy, `policyName`."""

ROLE_ALIAS_NAME = r"[A-Za-z0-9_=,@-]{1,128}"
"""AWS IoT API reference, CreateRoleAlias, `roleAlias`."""

ROLE_NAME = r"[A-Za-z0-9_+=,.@-]{1,64}"
"""IAM API reference, CreateRole, `RoleName`."""

JOB_ID = r"[A-Za-z0-9_-]{1,64}"
"""AWS IoT API reference, CreateJob, `jobId`."""

CLIENT_ID_BYTES = 128
"""UTF-8 bytes of an MQTT client id. AWS General Reference, AWS IoT Core, message broker, "Client ID size"."""

# --- AWS IoT: certificates and policies ---

POLICIES_PER_CERTIFICATE = 10
"""AWS General Reference, AWS IoT Core, security, "Maximum number of policies that can be attached to a certificate"."""

CSR_CHARACTERS = 4096
"""AWS IoT API reference, CreateCertificateFromCsr, `certificateSigningRequest`."""

LEAST_RSA_BITS = 2048
"""AWS IoT API reference, CreateCertificateFromCsr: RSA keys of at least this length."""

CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""AWS IoT API reference, CreateCertificateFromCsr: P-256, P-384 and P-521, by the names that SEC 2 gives them."""

# --- AWS IoT: calls ---

LIST_PAGE = 250
"""The largest page of a list, `pageSize` or `maxResults`.

AWS IoT API reference, ListCertificates, ListAttachedPolicies, ListThingPrincipals, ListPrincipalThings,
ListThingGroupsForThing, ListActiveViolations and ListAuditFindings.
"""

LISTS_PER_SECOND = 10
"""AWS General Reference, AWS IoT Core, thing registry, ListThings; security, ListCertificates; adjustable."""

THING_LOOKUPS_PER_SECOND = 20
"""AWS General Reference, AWS IoT Core, thing registry, ListThingPrincipals; adjustable."""

PRINCIPAL_LOOKUPS_PER_SECOND = 10
"""AWS General Reference, AWS IoT Core, thing registry, ListPrincipalThings; adjustable."""

CALLS_PER_SECOND = {
    "ListCertificates": LISTS_PER_SECOND,
    "DescribeCertificate": 10,
    "UpdateCertificate": 10,
    "AttachPolicy": 15,
    "DetachPolicy": 15,
    "ListAttachedPolicies": 15,
    "GetEffectivePolicies": 5,
    "ListThingPrincipals": THING_LOOKUPS_PER_SECOND,
    "ListPrincipalThings": PRINCIPAL_LOOKUPS_PER_SECOND,
    "AddThingToThingGroup": 100,
    "RemoveThingFromThingGroup": 100,
    "UpdateThingGroupsForThing": 10,
    "ListThingGroupsForThing": 100,
    "DescribeThing": 350,
    "CreateJob": 10,
    "DescribeJobExecution": 10,
    "CancelJobExecution": 10,
    "DeleteConnection": 100,
    "ListActiveViolations": 10,
}
"""The calls that are made for devices, for an account and region by default, read in November 2026.

AWS General Reference, AWS IoT Core, thing registry, security and data plane; AWS IoT Device Management, jobs; AWS IoT
Device Defender.
"""

# --- AWS IoT Jobs ---

TARGETS_PER_JOB = 100
"""AWS General Reference, AWS IoT Device Management, jobs, "Job targets"."""

NOTIFIED_PER_MINUTE = 1_000
"""Devices that get a job a minute. AWS General Reference, AWS IoT Device Management, jobs, `maximumPerMinute`."""

LEAST_TIME_TO_END = timedelta(minutes=30)
"""How far ahead a job's end must be. AWS IoT API reference, SchedulingConfig, `endTime`."""

# --- AWS Private CA ---

COMMON_NAME_CHARACTERS = 64
"""AWS Private CA API reference, ASN1Subject, `CommonName`."""

IDEMPOTENCY_TOKEN_CHARACTERS = 36
"""AWS Private CA API reference, IssueCertificate, `IdempotencyToken`."""

# --- Messages, notices and records ---

MESSAGES_PER_BATCH = 10
"""Amazon SQS API reference, SendMessageBatch."""

SUBJECT_CHARACTERS = 99
"""ASCII, without line breaks, "less than 100 characters long". Amazon SNS API reference, Publish, `Subject`."""

FINDING_TITLE_CHARACTERS = 256
"""AWS Security Hub API reference, AwsSecurityFinding, `Title`."""

FINDING_DESCRIPTION_CHARACTERS = 1024
"""AWS Security Hub API reference, AwsSecurityFinding, `Description`."""

FINDING_FIELD_CHARACTERS = 2048
"""AWS Security Hub API reference, AwsSecurityFinding, a value of `ProductFields`."""

FINDING_RESOURCE_CHARACTERS = 512
"""AWS Security Hub User Guide, AWS Security Finding Format, `Resources`: `Id`."""

NUMBER_DIGITS = 38
"""Significant digits of a number. Amazon DynamoDB Developer Guide, "Constraints", data types."""

PROFILES_PER_TARGET = 5
"""Security profiles of a thing group or of all things. AWS IoT API reference, AttachSecurityProfile."""

# --- Policies ---

POLICY_CHARACTERS = 2_048
"""Of an AWS IoT policy, white space not counted. AWS IoT API reference, CreatePolicy, `policyDocument`."""

POLICY_VERSIONS = 5
"""Of an AWS IoT policy. AWS IoT API reference, CreatePolicyVersion."""

AUTHORIZATIONS_PER_CALL = 10
"""Questions of one call. AWS IoT API reference, TestAuthorization, `authInfos`."""

MANAGED_POLICY_CHARACTERS = 6_144
"""Of a managed policy, white space not counted. IAM User Guide, "IAM and AWS STS quotas"."""

GENERATION_DAYS = 90
"""The longest time that a policy generation looks back. IAM User Guide, "IAM Access Analyzer quotas"."""

GENERATIONS_A_DAY = 50
"""Policy generations of an account and region. IAM User Guide, "IAM Access Analyzer quotas"."""

GENERATIONS_A_DAY_WHERE_FEW = dict.fromkeys(
    ("af-south-1", "ap-east-1", "ap-southeast-3", "eu-south-1", "me-south-1"), 5
)
"""Policy generations in the regions that have fewer. IAM User Guide, "IAM Access Analyzer quotas"."""
