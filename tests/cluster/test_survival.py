"""Whatever ends a job or a run, the next one finishes, and nothing that was finished is paid for again."""

import time
from pathlib import Path

import pytest
from sites import Responses, accounted, wait_for

import cluster as machines
from isheep.files.records import read_jsonl

pytestmark = pytest.mark.end_to_end


def assert_resumed(site: Responses, job: str, finished: int) -> None:
    """The last attempt asked for what the earlier one had not finished, and nothing else."""
    count = site.jobs[job]["instructions"]
    assert len(read_jsonl(site.folder / f"{job}.jsonl")) == count
    asked, reused = site.asked(job)[-1]
    assert asked + reused == count
    assert reused >= finished > 0


@pytest.fixture(scope="module")
def ended(cluster, checkpoint, tmp_path_factory):
    """Three jobs side by side: one is cancelled, one runs over its time limit, one over its memory."""
    site = Responses(
        tmp_path_factory.mktemp("ended"),
        checkpoint,
        cancelled={"instructions": 60, "mem_mb": [5000, 10000], "runtime": [40, 80]},
        late={"instructions": 40, "runtime": [1, 10], "stops_after": [6, 0]},
        large={"instructions": 10, "mem_mb": [500, 2500]},
    )
    run = site.start()
    site.finished = site.wait_for_journal("cancelled")
    machines.ask("scancel", *site.slurm_jobs("cancelled"))
    site.output = site.finish(run)
    return site


def test_cancelled_job_is_retried_and_goes_on(ended):
    first, second = ended.slurm_jobs("cancelled")
    # Twice as much would be more than a node has, and the partition's time limit.
    assert [accounted(job)["ReqMem"] for job in (first, second)] == ["5000M", f"{machines.MEMORY_MB}M"]
    assert [accounted(job)["TimelimitRaw"] for job in (first, second)] == ["40", str(machines.PARTITION_MINUTES)]
    assert accounted(first)["State"].startswith("CANCELLED by")
    assert accounted(second)["State"] == "COMPLETED"
    assert f"SLURM-job '{first}' failed, SLURM status is: 'CANCELLED'" in ended.output
    assert_resumed(ended, "cancelled", ended.finished)


def test_job_over_its_time_is_retried_with_more_and_goes_on(ended):
    first, second = ended.slurm_jobs("late")
    assert accounted(first)["State"] == "TIMEOUT"
    assert [accounted(job)["TimelimitRaw"] for job in (first, second)] == ["1", "10"]
    assert f"SLURM-job '{first}' failed, SLURM status is: 'TIMEOUT'" in ended.output
    assert_resumed(ended, "late", 6)


def test_job_over_its_memory_is_retried_with_more(ended):
    first, second = ended.slurm_jobs("large")
    # OUT_OF_MEMORY where Slurm uses cgroups, which it cannot on every machine
    assert accounted(first)["State"] in ("FAILED", "OUT_OF_MEMORY")
    assert [accounted(job)["ReqMem"] for job in (first, second)] == ["500M", "2500M"]
    assert "exceeded memory limit" in ended.output, "the log of the job is shown"
    assert len(read_jsonl(ended.folder / "large.jsonl")) == 10


def test_job_goes_on_after_its_node_died(cluster, checkpoint, tmp_path):
    site = Responses(tmp_path, checkpoint, job={"instructions": 60})
    run = site.start()
    finished = site.wait_for_journal("job")
    node = accounted(site.slurm_jobs("job")[0])["NodeList"]
    cluster.kill_node(node)
    try:
        output = site.finish(run)
    finally:
        cluster.start_node(node)
        wait_for(lambda: cluster.node_states()[node] == "idle", f"{node} to come back")
    first, second = site.slurm_jobs("job")
    assert accounted(first)["State"] == "NODE_FAIL"
    assert f"SLURM-job '{first}' failed due to a node failure" in output
    assert accounted(second)["NodeList"] != node
    assert_resumed(site, "job", finished)


def test_job_goes_on_after_it_had_to_make_way_for_another(cluster, checkpoint, tmp_path):
    site = Responses(tmp_path, checkpoint, job={"instructions": 60})
    run = site.start()
    finished = site.wait_for_journal("job")
    everything = ["--partition=urgent", f"--nodes={len(machines.NODES)}", "--exclusive"]
    machines.ask("sbatch", "--output=/dev/null", *everything, "--wrap", "sleep 15")
    output = site.finish(run)
    first, _ = site.slurm_jobs("job")
    assert accounted(first)["State"] == "PREEMPTED"
    assert f"SLURM-job '{first}' failed, SLURM status is: 'CANCELLED'" in output
    assert_resumed(site, "job", finished)


def test_a_job_that_slurm_ends_on_its_last_attempt_is_explained(cluster, checkpoint, tmp_path):
    site = Responses(
        tmp_path,
        checkpoint,
        late={"instructions": 10, "runtime": 1, "stops_after": 2},
        large={"instructions": 10, "mem_mb": 500},
    )
    output = site.run("--retries", "0", status=1)
    for job, happened, key in (
        ("late", "was stopped at its time limit of 1 min", "--set-resources write_responses:runtime=MINUTES"),
        ("large", "was killed for taking more than its 500 MB of memory", "--set-resources write_responses:mem_mb=MB"),
    ):
        [number] = site.slurm_jobs(job)
        [line] = [line for line in output.splitlines() if line.startswith(f"Job {number} of rule write_responses")]
        assert f"({job}) {happened}; " in line
        assert key in line
        assert Path(line.rpartition("Log: ")[2]).name == f"{number}.log"


def test_what_failed_for_good_is_made_again_by_the_next_run_with_what_follows_from_it(cluster, checkpoint, tmp_path):
    """By a program's error and by a cancelled job, after a change; what follows had been made before the change."""
    site = Responses(tmp_path, checkpoint, job={"instructions": 30})
    site.run()
    before = (tmp_path / "counts/job").read_text()
    site.change('"max_tokens": 60', '"max_tokens": 0')
    assert "max_tokens" in site.run("--retries", "0", status=1)
    site.change('"max_tokens": 0', '"max_tokens": 30')
    run = site.start("--retries", "0")
    site.wait_for_journal("job")
    machines.ask("scancel", *site.slurm_jobs("job")[-1:])
    site.finish(run, status=1)
    assert not (tmp_path / "job.jsonl").exists()
    assert (tmp_path / "counts/job").read_text() == before, "out of date until the next run"
    site.run()
    rows = (tmp_path / "job.jsonl").read_bytes()
    assert (tmp_path / "counts/job").read_text() == f"{len(rows)}\n" != before
    assert "Nothing to be done" in site.run("--dry-run")


def test_runs_outlive_the_controller(cluster, checkpoint, tmp_path):
    """The job ends, and the next one is to be submitted, while nobody answers; by both programs that tell states."""
    sites = {}
    for program in ("sacct", "squeue"):
        sites[program] = Responses(tmp_path / program, checkpoint, job={"instructions": 20}, next={"instructions": 2})
    runs = {program: site.start("--jobs", "1", "--slurm-status-command", program) for program, site in sites.items()}
    for site in sites.values():
        wait_for(lambda site=site: site.journal("job") or site.journal("next"), "a job to write")
    cluster.stop_controller()
    try:
        time.sleep(30)
    finally:
        cluster.start_controller()
    for program, site in sites.items():
        site.finish(runs[program])
        for job in site.jobs:
            assert len(site.slurm_jobs(job)) == 1, "one submission"
            assert site.asked(job) == [(site.jobs[job]["instructions"], 0)], "nothing was repeated"


def test_nothing_that_a_killed_run_had_done_is_done_again(cluster, checkpoint, tmp_path):
    """Of its jobs one ends before the next run starts, and two still run."""
    site = Responses(
        tmp_path, checkpoint, short={"instructions": 12}, one={"instructions": 90}, two={"instructions": 90}
    )
    run = site.start()
    finished = {job: site.wait_for_journal(job) for job in ("one", "two")}
    run.kill()
    run.wait()
    left = {job: site.slurm_jobs(job) for job in site.jobs}
    wait_for(lambda: accounted(*left["short"])["State"] == "COMPLETED", "the short job to end without its workflow")
    states = [accounted(*left[job])["State"] for job in finished]
    assert states == ["RUNNING", "RUNNING"], "Slurm knows nothing of the workflow's end"
    assert f"The locks of a run that was killed are removed (process {run.pid} on " in site.run()
    for job in finished:
        first, second = site.slurm_jobs(job)
        assert [first] == left[job]
        assert accounted(first)["State"].startswith("CANCELLED")
        assert accounted(first)["End"] <= accounted(second)["Start"], "never two that write one journal"
        assert_resumed(site, job, finished[job])
    assert site.slurm_jobs("short") == left["short"], "not submitted again"
    assert site.asked("short") == [(12, 0)]
    # What was asked for is on record, as for every other job: a change makes it again.
    site.change('"max_tokens": 60', '"max_tokens": 59')
    planned = site.run("--dry-run")
    assert [f"output: {job}.jsonl" in planned for job in site.jobs] == [True, True, True]
    assert planned.count("Params have changed") == 3


def test_cancelled_job_is_noticed_without_accounting(without_accounting, checkpoint, tmp_path):
    """The profile asks `sacct`, which then has no answer."""
    site = Responses(tmp_path, checkpoint, account=None, job={"instructions": 60})
    run = site.start()
    finished = site.wait_for_journal("job")
    machines.ask("scancel", *site.slurm_jobs("job"))
    output = site.finish(run)
    assert f"SLURM-job '{site.slurm_jobs('job')[0]}' failed, SLURM status is: 'CANCELLED'" in output
    assert_resumed(site, "job", finished)
