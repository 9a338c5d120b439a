"""What a change redoes, on finished results: exactly the jobs that depend on it."""

import pytest

pytestmark = pytest.mark.end_to_end

CONFIG = "config/config.yaml"
SMALL = "small.yaml"
TRAINED = ("one_base", "adapter", "all_last")


def homes(jobs, *rules):
    """The checkpoints (folders below the seed's) that the jobs of these rules belong to; of all rules by default."""
    outputs = {output for rule in rules or jobs for output in jobs.get(rule, ())}
    return {
        "/".join(output.split("/")[2 : 3 if output.split("/")[2] == "base" else 4])
        for output in outputs
        if not output.startswith("tables/")
    }


def test_threshold_redoes_nothing_that_the_base_model_wrote(finished):
    with finished.changed(CONFIG, "threshold: 8", "threshold: 7"):
        jobs = finished.jobs()
    assert homes(jobs) == {"one_base/iter1", "one_base/iter2", "adapter/iter1", "all_last/iter2"}
    assert homes(jobs, "select_pairs") == homes(jobs)
    assert homes(jobs, "write_instructions") == {"one_base/iter1"}


def test_one_more_iteration_runs_that_iteration_alone(finished):
    with finished.changed(CONFIG, "    instructions: 800 ", "    iterations: 3\n    instructions: 800 "):
        jobs = finished.jobs()
    trained = homes(jobs, "select_pairs", "train_all_weights", "train_adapter", "measure")
    # adapter says its own number of iterations
    assert trained == {"one_base/iter3", "all_last/iter3"}
    assert homes(jobs, "write_instructions", "write_responses", "assess_pairs") == {
        "one_base/iter2",
        "all_last/iter2",
    }


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param(CONFIG, "batch_size: 128", "batch_size: 7", id="batch size"),
        pytest.param(CONFIG, "threads: 1 ", "threads: 2 ", id="threads"),
        pytest.param(CONFIG, "micro_batch_size: 16", "micro_batch_size: 4", id="micro batch"),
        pytest.param(
            "scripts/write_responses.py",
            "    requests = []\n",
            "    requests = []  # none yet\n",
            id="comment",
        ),
        pytest.param("scripts/isheep/selection.py", '"""Count the pairs', '"""Tell how many pairs', id="docstring"),
        pytest.param("scripts/isheep/prompts.py", "    return [*system", "\n    return [*system", id="formatting"),
    ],
)
def test_what_cannot_change_a_result_redoes_nothing(finished, file, old, new):
    with finished.changed(file, old, new):
        assert finished.jobs() == {}


def test_another_seed_is_computed_beside_the_first(finished):
    with finished.changed(CONFIG, "seeds: [1]", "seeds: [1, 2]"):
        jobs = finished.jobs()
    outputs = {output for rule in jobs for output in jobs[rule]}
    assert all(output.startswith(("demo/seed2/", "tables/")) for output in outputs)


def test_changed_benchmark_is_measured_alone_on_each_checkpoint(finished):
    with finished.changed(SMALL, "choice: {limit: 40}", "choice: {limit: 41}"):
        jobs = finished.jobs()
    measured = jobs.pop("measure")
    # The adapter's merged weights were temporary: they are merged again, and all that reads them is measured again.
    again = {output for output in measured if "/adapter/" in output and "/ifeval/" in output}
    assert jobs.pop("merge_adapter") == {"demo/seed1/adapter/iter1/weights"}
    assert set(jobs) == {"collect_scores", "make_table"}
    assert len(measured - again) == 2 * 6
    assert all("/benchmarks/choice/" in output for output in measured - again)


def test_changed_caption_makes_that_table_alone(finished):
    with finished.changed(CONFIG, "caption: The demo world", "caption: A demo world"):
        jobs = finished.jobs()
    assert set(jobs) == {"make_table"}


def test_changed_response_rule_pays_for_no_response(finished):
    with finished.changed(CONFIG, 'separator: " " ', 'rules: {chinese: false}\n  separator: " " '):
        jobs = finished.jobs()
    assert "filter_responses" in jobs
    assert homes(jobs, "write_instructions", "write_responses") <= {"one_base/iter1"}, "base pays nothing"


def test_judge_or_prompt_of_one_recipe_leaves_what_was_written(finished):
    with finished.changed(CONFIG, "assessment: combined ", "assessment: simple "):
        jobs = finished.jobs()
    assert "base" in homes(jobs, "assess_pairs")
    assert homes(jobs, "write_instructions", "write_responses") == {"one_base/iter1"}
    assert not {output for output in jobs["measure"] if "/self_instruct/" in output or "/base/" in output}


def test_changed_library_function_redoes_its_users(finished):
    with finished.changed("scripts/isheep/tables.py", "ddof=1", "ddof=0"):
        assert set(finished.jobs()) == {"collect_scores", "make_table"}
