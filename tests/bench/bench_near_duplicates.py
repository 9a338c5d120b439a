"""Time the near-duplicate search against rouge_score and against rapidfuzz's cdist, on one core, in one run.

The instructions are generated: own sentence frames, filled with words whose frequencies fall as in natural
text (Zipf), and a share of near-copies of earlier instructions, so that there is something to drop.

    python tests/bench/bench_near_duplicates.py --instructions 10000
"""

import argparse
import random
import sys
import time
from itertools import accumulate
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from rapidfuzz import process
from rapidfuzz.distance import Indel
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenize import tokenize

from isheep.data.near_duplicates import NearDuplicates

FRAMES = [
    "Write a {a} {n} about the {n} of a {a} {n}",
    "Explain in {a} words why the {n} {v} the {n}",
    "Given the {n} below, {v} every {n} that is {a}",
    "Suppose that you are a {a} {n} who wants to {v} a {n}",
    "What is the difference between a {n} and a {a} {n}?",
    "List three {a} ways to {v} the {n} without a {n}",
    "Summarize the {n} in one sentence and {v} its {a} {n}",
    "How would you {v} a {n} if the {n} were {a}?",
]
CLAUSES = [
    "Keep the {n} {a} and do not {v} the {n}.",
    "The {n} should be {a}, and it must {v} at least one {n}.",
    "Use a {a} tone and mention the {n}.",
    "Your answer is for a {n} who has to {v} the {a} {n} before the {n}.",
    "If there is no {n}, {v} the {n} instead.",
    "Start with the {n}, then {v} what makes it {a}.",
    "It is {a} that the {n} can {v} with the {n}.",
]
COMMON_WORDS = {
    "n": """story list email letter idea city recipe product poem plan reason question book sentence word
        user student company teacher customer child country paragraph text friend animal movie game event
        topic number food house person project speech article dialogue meeting""",
    "v": """use describe find give make change compare write choose explain improve suggest avoid create
        translate identify rewrite include remember sort show cook visit learn solve""",
    "a": """new short good different simple important long common creative formal healthy old famous funny
        polite small correct positive modern local clear useful difficult""",
}
ENDINGS = {
    "n": ["er", "ment", "ity", "s", "ion"],
    "v": ["ize", "ate", "en", ""],
    "a": ["al", "ive", "ous", "ic"],
}
SYLLABLES = "ba con der fil gra hor im jun kel lam mon nor op pra qui ras sten tor ul ver win xen yar zel"
WORDS_PER_KIND = 6000
NEAR_COPIES = 0.07


def vocabulary(rng: random.Random) -> dict[str, tuple[list[str], list[float]]]:
    """Return for nouns, verbs and adjectives the words, common ones first, with cumulative Zipf weights."""
    words = {}
    for kind, text in COMMON_WORDS.items():
        common = text.split()
        stems = ("".join(rng.choices(SYLLABLES.split(), k=3)) for _ in range(WORDS_PER_KIND))
        rare = sorted({stem + rng.choice(ENDINGS[kind]) for stem in stems} - set(common))
        rng.shuffle(rare)
        ranked = common + rare
        cumulative = list(accumulate(1 / (rank + 2.7) for rank in range(len(ranked))))
        words[kind] = ranked, cumulative
    return words


def instructions(count: int, seed: int) -> list[str]:
    """Return `count` instructions of about 40 tokens, some of them near-copies of earlier ones."""
    rng = random.Random(seed)
    words = vocabulary(rng)
    texts: list[str] = []
    for _ in range(count):
        if texts and rng.random() < NEAR_COPIES:
            texts.append(near_copy(rng.choice(texts), words, rng))
            continue
        frames = [rng.choice(FRAMES), *rng.sample(CLAUSES, rng.randint(2, 4))]
        texts.append(" ".join(fill(frame, words, rng) for frame in frames))
    return texts


def fill(frame: str, words: dict, rng: random.Random) -> str:
    """Put a word, drawn by its frequency, into each slot of a frame."""
    for kind, (ranked, cumulative) in words.items():
        while (slot := "{" + kind + "}") in frame:
            frame = frame.replace(slot, rng.choices(ranked, cum_weights=cumulative)[0], 1)
    return frame


def near_copy(text: str, words: dict, rng: random.Random) -> str:
    """Replace up to half of a text's words, so that copies lie on both sides of the threshold."""
    copy = text.split()
    for position in rng.sample(range(len(copy)), rng.randint(0, len(copy) // 2)):
        copy[position] = fill("{n}", words, rng)
    return " ".join(copy)


def time_ours(texts: list[str], threshold: float) -> tuple[float, list[bool]]:
    """Return the seconds for deciding and keeping all texts, and for each whether it was kept."""
    start = time.process_time()
    near_duplicates, kept = NearDuplicates(threshold), []
    for text in texts:
        kept.append(near_duplicates.nearest_above(text) is None)
        if kept[-1]:
            near_duplicates.add(text)
    return time.process_time() - start, kept


def time_cdist(texts: list[str], threshold: float, chunk: int) -> tuple[float, list[bool]]:
    """Return seconds and decisions of comparing each text with all kept ones by cdist, `chunk` at a time.

    A text is compared with those kept before its chunk and all of its chunk; rows are then decided in order.
    """
    start = time.process_time()
    ids: dict[str, int] = {}
    sequences = ["".join(chr(ids.setdefault(token, len(ids))) for token in tokenize(text, None)) for text in texts]
    kept: list[int] = []
    for first in range(0, len(texts), chunk):
        rows = list(range(first, min(first + chunk, len(texts))))
        columns = kept + rows
        similarity = process.cdist(
            [sequences[row] for row in rows],
            [sequences[column] for column in columns],
            scorer=Indel.normalized_similarity,
            score_cutoff=threshold - 1e-4,
            workers=1,
        )
        above = similarity > threshold + 1e-6
        kept_columns = list(range(len(kept)))
        for i, row in enumerate(rows):
            if not above[i, kept_columns].any():
                kept_columns.append(len(columns) - len(rows) + i)
                kept.append(row)
    kept_rows = set(kept)
    return time.process_time() - start, [row in kept_rows for row in range(len(texts))]


def time_rouge_score(texts: list[str], kept: list[bool], pairs: int, seed: int) -> float:
    """Return the seconds that rouge_score would need for all pairs, extrapolated from a sample of them.

    Texts are tokenized beforehand, once each, so that only the comparison counts.
    """
    rng = random.Random(seed)
    scorer = RougeScorer(["rougeL"], tokenizer=Tokenized())
    tokens = [tokenize(text, None) for text in texts]
    sample = [rng.sample(range(len(texts)), 2) for _ in range(pairs)]
    start = time.process_time()
    for one, other in sample:
        scorer.score(tokens[one], tokens[other])
    per_pair = (time.process_time() - start) / pairs
    compared, kept_so_far = 0, 0
    for was_kept in kept:
        compared += kept_so_far
        kept_so_far += was_kept
    return per_pair * compared


class Tokenized:
    """Hands token lists through to rouge_score."""

    def tokenize(self, tokens: list[str]) -> list[str]:
        return tokens


def decisions_agree(texts: list[str], kept: list[bool], threshold: float, sample: int, seed: int) -> str:
    """Decide a sample of kept and dropped texts again with rouge_score; raise SystemExit if one differs."""
    rng = random.Random(seed)
    scorer = RougeScorer(["rougeL"])
    counts = []
    for state in (True, False):
        rows = [index for index, was_kept in enumerate(kept) if was_kept is state]
        rows = rng.sample(rows, min(sample, len(rows)))
        for row in rows:
            earlier = (other for other, was_kept in zip(texts[:row], kept[:row], strict=True) if was_kept)
            near = any(scorer.score(other, texts[row])["rougeL"].fmeasure > threshold for other in earlier)
            if near is state:
                raise SystemExit(f"decision on instruction {row} differs from rouge_score's: {texts[row]}")
        counts.append(len(rows))
    return f"{counts[0]} kept and {counts[1]} dropped instructions decided again by rouge_score: all equal"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", type=int, default=10_000)
    parser.add_argument("--threshold", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rouge-pairs", type=int, default=5000, help="pairs that rouge_score is timed on")
    parser.add_argument("--check", type=int, default=10, help="kept and dropped instructions to decide again")
    arguments = parser.parse_args()

    texts = instructions(arguments.instructions, arguments.seed)
    tokens = sum(len(tokenize(text, None)) for text in texts) / len(texts)
    ours, kept = time_ours(texts, arguments.threshold)
    cdist, kept_by_cdist = time_cdist(texts, arguments.threshold, chunk=500)
    rouge = time_rouge_score(texts, kept, arguments.rouge_pairs, arguments.seed)

    print(f"{len(texts)} instructions of {tokens:.1f} tokens on average, {kept.count(False)} dropped, one core")
    print(f"{'how':<52}{'seconds':>10}{'ratio':>9}")
    for label, seconds in (
        ("isheep.data.near_duplicates", ours),
        ("rapidfuzz cdist with score_cutoff, 500 rows at a time", cdist),
        (f"rouge_score, extrapolated from {arguments.rouge_pairs} pairs", rouge),
    ):
        print(f"{label:<54}{seconds:>8.1f}{seconds / ours:>9.1f}")
    differing = sum(one != other for one, other in zip(kept, kept_by_cdist, strict=True))
    print(f"decisions that differ between ours and cdist: {differing}")
    print(decisions_agree(texts, kept, arguments.threshold, arguments.check, arguments.seed))


if __name__ == "__main__":
    main()
