"""
Whether buckets are read at all: only where the environment of the process says so.

Which bucket is read stands in manifests, and so in pull requests. With whose credentials, and at
which endpoint, never does: that is said outside the repository or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping

# Source: AWS SDKs and Tools Reference Guide, "Environment variables".
_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
_METADATA_DISABLED = "AWS_EC2_METADATA_DISABLED"


def why_closed(environment: Mapping[str, str]) -> str:
    """
    Say why no bucket is read; empty where buckets are.

    Credentials that merely lie in the home directory, or that the machine would hand out, are not
    used: whoever wants that says it with `AWS_PROFILE`, or with `AWS_EC2_METADATA_DISABLED=false`.
    """
    if any(environment.get(name) for name in (*_CREDENTIALS, *_ENDPOINTS)):
        return ""
    if may_ask_the_machine(environment):
        return ""
    return "no AWS variable says with what: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret"


def may_ask_the_machine(environment: Mapping[str, str]) -> bool:
    """Tell whether the role of the machine may be used, which costs a request that can hang."""
    return environment.get(_METADATA_DISABLED, "").lower() == "false"


def region_of(environment: Mapping[str, str]) -> str:
    """Return the region that the environment names, empty where it names none."""
    # Source: the same guide, "AWS_REGION"; boto3 alone reads only the other name.
    return environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""
