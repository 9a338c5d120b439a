"""Near-duplicate decisions are those of rouge_score, compared with a plain search over every pair."""

import random

import pytest
from rouge_score.rouge_scorer import RougeScorer

from isheep.data.near_duplicates import Match, NearDuplicates

THRESHOLDS = [0.0, 0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0]

TASKS = [
    "Name three animals that live in the {place} and say in one sentence what each of them eats.",
    "Write a short, polite e-mail to a {person} who has not answered your last message about the {place}.",
    "Explain to a {person} why the {place} was closed last summer; use at most four sentences.",
    "Which of the following cities has the largest {place}? Give the name of the city only.",
    "Rewrite the given paragraph so that a {person} who has never seen a {place} can understand it.",
]
PLACES = ["forest", "museum", "railway station", "swimming pool", "harbour", "library", "old town hall"]
PERSONS = ["ten-year-old child", "colleague", "neighbour", "new customer", "retired teacher", "café owner"]


def rouge_l(target: str, prediction: str) -> float:
    return RougeScorer(["rougeL"]).score(target, prediction)["rougeL"].fmeasure


def nearest_by_search(kept: list[str], text: str, threshold: float) -> Match | None:
    matches = [Match(other, rouge_l(other, text)) for other in kept]
    above = [match for match in matches if match.similarity > threshold]
    return max(above, key=lambda match: match.similarity) if above else None


def short_texts(seed: int, count: int) -> list[str]:
    rng = random.Random(seed)
    alphabet = "abcd"[: rng.randint(1, 4)]
    return [" ".join(rng.choices(alphabet, k=rng.randint(0, 14))) for _ in range(count)]


def realistic_texts(seed: int, count: int) -> list[str]:
    rng = random.Random(seed)
    texts = []
    for _ in range(count):
        words = rng.choice(TASKS).format(place=rng.choice(PLACES), person=rng.choice(PERSONS)).split()
        for _ in range(rng.randint(0, 7)):
            words[rng.randrange(len(words))] = rng.choice(["really", "some", "new", "quickly", "PLEASE", "2024"])
        texts.append(" ".join(words))
    return texts


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("seed", range(4))
def test_random_short_texts_give_the_matches_of_rouge_score(seed, threshold):
    texts = short_texts(seed, 90)
    near_duplicates = NearDuplicates(threshold)
    kept: list[str] = []
    for text in texts:
        match = near_duplicates.nearest_above(text)
        assert match == nearest_by_search(kept, text, threshold)
        if match is None or len(kept) < 20:
            near_duplicates.add(text)
            kept.append(text)


@pytest.mark.parametrize("threshold", [0.6, 0.7, 0.8])
def test_realistic_instructions_give_the_matches_of_rouge_score(threshold):
    near_duplicates = NearDuplicates(threshold)
    kept: list[str] = []
    dropped = 0
    for text in realistic_texts(0, 120):
        match = near_duplicates.nearest_above(text)
        assert match == nearest_by_search(kept, text, threshold)
        if match is None:
            near_duplicates.add(text)
            kept.append(text)
        else:
            dropped += 1
    assert min(dropped, len(kept)) > 20, "the sample must cover drops and keeps"


def text_pair(m: int, n: int, common: int) -> tuple[str, str]:
    shared = [f"s{i}" for i in range(common)]
    return (
        " ".join(shared + [f"a{i}" for i in range(m - common)]),
        " ".join(shared + [f"b{i}" for i in range(n - common)]),
    )


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7, 0.75, 0.8, 0.9])
def test_every_pair_of_lengths_is_decided_as_by_rouge_score_around_the_threshold(threshold):
    for m in range(1, 41):
        for n in range(1, m + 1):
            edge = round(threshold * (m + n) / 2)
            for common in range(max(0, edge - 1), min(n, edge + 1) + 1):
                kept, text = text_pair(m, n, common)
                near_duplicates = NearDuplicates(threshold)
                near_duplicates.add(kept)
                above = rouge_l(kept, text) > threshold
                assert (near_duplicates.nearest_above(text) is not None) == above, (m, n, common)


def test_a_similarity_of_exactly_the_threshold_is_not_a_duplicate():
    kept, text = text_pair(10, 10, 7)
    near_duplicates = NearDuplicates(0.7)
    near_duplicates.add(kept)
    assert rouge_l(kept, text) == 0.7
    assert near_duplicates.nearest_above(text) is None


def test_texts_without_tokens_match_nothing_not_even_themselves():
    near_duplicates = NearDuplicates(0.0)
    for text in ["", "?!", "написать", "日本語"]:
        assert near_duplicates.nearest_above(text) is None
        near_duplicates.add(text)


def test_accents_and_capitals_are_read_as_rouge_score_reads_them():
    near_duplicates = NearDuplicates(0.7)
    near_duplicates.add("Describe the Café near the old town hall")
    match = near_duplicates.nearest_above("describe THE café near the old Town Hall!")
    assert match == Match("Describe the Café near the old town hall", 1.0)


def test_the_nearest_of_several_and_the_earliest_of_equals_is_reported():
    near_duplicates = NearDuplicates(0.5)
    for text in ["a b c d e", "a b c d x", "a b c d y"]:
        near_duplicates.add(text)
    assert near_duplicates.nearest_above("a b c d z").text == "a b c d e"
    assert near_duplicates.nearest_above("a b c d y").text == "a b c d y"


def test_word_order_counts():
    near_duplicates = NearDuplicates(0.7)
    near_duplicates.add("one two three four five six")
    assert near_duplicates.nearest_above("six five four three two one") is None
