"""Inputs that nobody wrote: good ones, bent. The same number gives the same input."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

_SIGNS = (
    b"{", b"}", b"[", b"]", b"(", b")", b"{{", b"}}", b"{%", b"'", b'"', b":", b": ", b",", b"- ", b"\n",
    b"\r", b"\t", b"\0", b"\x1b[2J", b"&a ", b"*a", b"!!python/object:os.system ", b"|", b">", b"#", b"%",
    b"?", b"<<: ", b"---\n", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\\u0000",
    b"\\ud800", b"NaN", b"Infinity", b"1e999", b"-0", b"9" * 30, b"9" * 5000, b"0x", b"../", b"/etc/passwd", b"~",
    b"__class__", b"|attr(", b".format(", b"range(", b" ** ", b" * 999999999", b"ref(", b"secret(", b"forEach",
    b"null", b"true", b"[" * 300, b'{"a":' * 300, b"(" * 300, b"/*", b"//", b"`${", b"x" * 3000,
)  # fmt: skip


def bent(seeds: Sequence[bytes], number: int) -> bytes:
    """Return one of the seeds after a few changes: cut, doubled, swapped, flipped, salted."""
    rng = Random(number)
    content = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
        at = rng.randrange(len(content) + 1)
        until = min(len(content), at + rng.choice((1, 2, 4, 16, 64)))
        match rng.randrange(7):
            case 0:
                del content[at:until]
            case 1:
                content[at:at] = content[at:until] * rng.choice((1, 2, 20))
            case 2:
                content[at:at] = rng.choice(_SIGNS)
            case 3:
                content[at:until] = rng.choice(_SIGNS)
            case 4:
                content[at:at] = _piece(rng, rng.choice(seeds))
            case 5 if at < len(content):
                content[at] ^= 1 << rng.randrange(8)
            case _:
                content = content[:at] if rng.random() < 0.2 else content
    return bytes(content[:200_000])


def _piece(rng: Random, seed: bytes) -> bytes:
    first = rng.randrange(len(seed) + 1)
    return seed[first : first + rng.randrange(80)]
