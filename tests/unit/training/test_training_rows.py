"""Which of the kept pairs are trained on, which are held out, and when two checkpoints train on the same ones."""

from collections import Counter

from isheep.training.rows import RowSettings, rows_checksum, use_of_pairs

BASE, FIRST, SECOND = (
    [f"{source}:0:{n}" for n in range(count)] for source, count in [("base", 40), ("r1", 4), ("r2", 30)]
)
ALL = [*BASE, *FIRST, *SECOND]


def used(kept=ALL, seed=1, **settings) -> list[str]:
    return list(use_of_pairs(kept, RowSettings(**{"validation_share": 0} | settings), seed))


def test_the_first_pairs_are_those_that_each_checkpoint_wrote_first():
    """Total_base: the newest checkpoint's pairs are among them."""
    assert used(max_samples=30) == [*BASE[:13], *FIRST, *SECOND[:13]]
    assert used(BASE, max_samples=7) == BASE[:7]


def test_a_sample_is_even_over_the_checkpoints_that_wrote_and_keeps_the_order():
    sample = used(rows="sample", max_samples=30)
    assert Counter(id.partition(":")[0] for id in sample) == {"base": 13, "r1": 4, "r2": 13}
    assert sample == [id for id in ALL if id in sample]


def test_another_seed_draws_another_sample_and_the_same_one_the_same():
    assert used(rows="sample", max_samples=30) == used(rows="sample", max_samples=30)
    assert used(rows="sample", max_samples=30) != used(rows="sample", max_samples=30, seed=2)


def test_a_larger_pool_gives_another_sample_where_the_first_pairs_would_be_the_same():
    """Direct 20k and 30k: the first 20k are the same pairs."""
    smaller, larger = [f"base:0:{n}" for n in range(40)], [f"base:0:{n}" for n in range(60)]
    assert used(smaller, max_samples=30) == used(larger, max_samples=30)
    assert used(smaller, max_samples=30, rows="sample") != used(larger, max_samples=30, rows="sample")


def test_without_a_cap_or_below_it_all_are_used():
    for settings in ({"max_samples": None}, {"max_samples": 74}):
        for rows in ("first", "sample"):
            assert used(rows=rows, **settings) == ALL


def test_a_tenth_is_held_out_rounded_up_and_never_the_only_pair():
    use = use_of_pairs(BASE, RowSettings(max_samples=31, validation_share=0.1), 1)
    assert Counter(use.values()) == {"training": 27, "validation": 4}
    assert list(use) == BASE[:31]
    assert use_of_pairs(["base:0:0"], RowSettings(validation_share=0.9), 1) == {"base:0:0": "training"}
    assert Counter(use_of_pairs(ALL[:2], RowSettings(validation_share=0.9), 1).values())["training"] == 1


def test_the_checksum_is_of_the_texts_in_any_order():
    one, two = ({"id": id, "instruction": "a", "input": "", "response": id} for id in "xy")
    assert rows_checksum([one, two]) == rows_checksum([two | {"id": "z"}, one])
    assert rows_checksum([one, two]) != rows_checksum([one, two, two])
    assert rows_checksum([one]) != rows_checksum([one | {"input": "b"}])
