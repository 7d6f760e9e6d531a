"""
Token buckets: how long a request waits so that the server need not refuse it.

Pure: a bucket is a value, time comes in as a number, and the caller sleeps.
What to do after a refusal is decided in `retry`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Bucket:
    """
    A token bucket that lends: taking never fails, it returns how long to wait.

    A level below zero is a queue. Who took earlier waits less, so order is kept.

    Args:
        capacity: the most tokens that pile up; a burst
        refill_per_s: tokens gained a second, evenly; 0 for no limit at all
        level: tokens at `at_s`
        at_s: the moment of `level`, on a clock that never jumps
        closed_until_s: nobody leaves before; set when the server asks for a pause
    """

    capacity: float
    refill_per_s: float
    level: float
    at_s: float = 0.0
    closed_until_s: float = float("-inf")

    def refilled(self, now_s: float) -> Bucket:
        """Return the bucket at a later moment. Source: service docs, "Rate limiting"."""
        passed_s = max(now_s - self.at_s, 0.0)
        level = min(self.capacity, self.level + passed_s * self.refill_per_s)
        return replace(self, level=level, at_s=max(now_s, self.at_s))


def unlimited() -> Bucket:
    """Return a bucket that only knows the server's own pauses."""
    return Bucket(capacity=0.0, refill_per_s=0.0, level=0.0)


def per_minute(requests: float, *, burst: float) -> Bucket:
    """
    Return a full bucket for a rate.

    Args:
        requests: allowed a minute
        burst: how many of them may leave at once; the service punishes a whole minute's worth
    """
    return Bucket(capacity=burst, refill_per_s=requests / 60.0, level=burst)


def take(bucket: Bucket, *, now_s: float) -> tuple[Bucket, float]:
    """Take one token; return the bucket and the seconds to wait before the request may leave."""
    pause_s = max(bucket.closed_until_s - now_s, 0.0)
    if bucket.refill_per_s == 0.0:
        return bucket, pause_s
    current = bucket.refilled(now_s)
    level = current.level - 1.0
    wait_s = max(-level / bucket.refill_per_s, 0.0)
    return replace(current, level=level), max(wait_s, pause_s)


def close(bucket: Bucket, *, now_s: float, seconds: float) -> Bucket:
    """Let nobody leave for a while: the server said 429, and it meant all of us."""
    return replace(bucket, closed_until_s=max(bucket.closed_until_s, now_s + seconds))
