"""A perplexity that follows from the letters of a text alone, for both sides of the comparison."""

import hashlib


def perplexity(text: str, seed: str) -> float:
    """A number from 0 to 4: so few that equal ones come up."""
    return float(hashlib.sha256(f"{seed}{text}".encode()).digest()[0] % 5)
