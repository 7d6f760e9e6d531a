"""
How many requests at once, how fast, how patiently: what whoever connects may choose.

What is done with it stands in `throttle` (how fast) and `retry` (how patiently).
"""

from __future__ import annotations

from dataclasses import field

from shplan.api.deployment import Deployment
from shplan.api.retry import Policy
from shplan.api.throttle import Bucket, per_minute, unlimited
from shplan.core.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Retry:
    """
    What `on_retry` is told: a request will be repeated.

    Args:
        attempt: the number of the attempt that failed, from 1
        wait_s: the pause before the next
    """

    operation: str
    attempt: int
    wait_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Tempo:
    """
    How many requests at once, how fast, how patiently.

    Args:
        parallelism: requests under way at once
        requests_per_minute: None for the deployment's own figure
        policy: the limits of patience
    """

    parallelism: int = 8
    requests_per_minute: float | None = None
    policy: Policy = field(default_factory=Policy)


def bucket_of(deployment: Deployment, tempo: Tempo) -> Bucket:
    """Return the full bucket of a deployment's rate, or of the one that was asked for."""
    rate = tempo.requests_per_minute or deployment.requests_per_minute
    if rate is None:
        return unlimited()
    # Source: service documentation, "Rate limiting", ramp-up: a whole minute's allowance at once
    # is refused in part; a sixth of it is not.
    return per_minute(rate, burst=max(rate / 6.0, float(tempo.parallelism)))
