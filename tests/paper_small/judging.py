"""What the miniature's judges answer: AlpacaEval's annotator one letter with its probabilities, MT-Bench's a rating.

An answer depends on the question alone, by its hash: the numbers say nothing about the method.
"""

import hashlib
import math

from isheep.engine.engine import Completion, Request, TokenLogprob

SHARE_WITHOUT_RATING = 8
"""One greedy judgment in so many has no rating, so that it is asked for again."""


def judge(request: Request) -> Completion:
    """Answer a request of either benchmark, as the judge's server is asked to."""
    number = int.from_bytes(hashlib.sha256(request.id.encode()).digest()[:4], "big")
    return compare(request, number) if request.sampling.top_logprobs else rate(request, number)


def compare(request: Request, number: int) -> Completion:
    """`m` or `M`, with both letters' log-probabilities."""
    probability = 0.1 + 0.8 * (number % 1000) / 1000
    places = {"m": math.log(probability), "M": math.log(1 - probability)}
    letter = max(places, key=places.get)
    token = TokenLogprob(letter, places[letter], places)
    return Completion(request.id, letter, "stop", len(request.id.split()), 1, (token,))


def rate(request: Request, number: int) -> Completion:
    """A rating from 1 to 10, or now and then none at the first attempt."""
    silent = request.sampling.temperature == 0 and number % SHARE_WITHOUT_RATING == 0
    text = "I would rather not say." if silent else f"This is an answer. Rating: [[{number // 8 % 10 + 1}]]"
    return Completion(request.id, text, "stop", len(request.id.split()), len(text.split()))
