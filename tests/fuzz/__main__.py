"""
Reads bent input for some time: `python -m tests.fuzz SECONDS [FIRST]`.

Each of the readers in turn. What crashes one is printed with its number, by which it is made again
(FIRST, the number to begin with), and ends the program with 1.
"""

from __future__ import annotations

import faulthandler
import sys
import time
import traceback
from collections import Counter

from tests.fuzz.bending import bent
from tests.fuzz.targets import TARGETS

# One input that takes longer is printed with where it is.
MOST_S = 60


def main(seconds: float, number: int) -> int:
    """Try until the time is over; returns the exit code."""
    tried: Counter[str] = Counter()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for name, target in TARGETS.items():
            faulthandler.dump_traceback_later(MOST_S, exit=True)
            try:
                target.read(bent(target.seeds, number))
            except target.says:
                pass
            except Exception:
                print(f"crash: {name}, number {number}\n{traceback.format_exc()}")
                print(repr(bent(target.seeds, number))[:4000])
                return 1
            finally:
                faulthandler.cancel_dump_traceback_later()
            tried[name] += 1
        number += 1
    print(f"{sum(tried.values()):,} inputs for {len(tried)} readers, no crash; next: {number}")
    return 0


if __name__ == "__main__":
    given = [*sys.argv[1:], "60", "0"]
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    sys.exit(main(float(given[0]), first))
