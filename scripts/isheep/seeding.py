"""Random seeds of every job and request, derived from the replicate's seed and what the seed is for."""

import hashlib


def derive_seed(*parts: str | int) -> int:
    """Return a seed in [0, 2**31) that depends on every part and on their order, the same on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
