"""Written pairs: which of them a recipe chooses from, and the text that a pair is."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from isheep.data.prompts import response_prompt


def source_of(id: str) -> str:
    """Return the checkpoint that wrote a pair: the part of its id before the first colon."""
    return id.partition(":")[0]


def first_of_each_source(pairs: Iterable[dict], count: int) -> Iterator[dict]:
    """Yield the first `count` pairs of each checkpoint: its last shard may hold more than the recipe asks for."""
    seen: Counter[str] = Counter()
    for pair in pairs:
        source = source_of(pair["id"])
        seen[source] += 1
        if seen[source] <= count:
            yield pair


def pair_text(pair: Mapping[str, str], separator: str) -> str:
    """Return the pair as a base model reads and writes it: what it is asked, a line break, and the response.

    separator: text between an instruction and its input, where there is one.
    """
    return f"{response_prompt(pair['instruction'], pair['input'], separator)}\n{pair['response']}"
