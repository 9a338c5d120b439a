"""slurm/bin in front of Slurm's own programs, which are stood in for by scripts that answer as Slurm does."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

BIN = Path("slurm/bin").resolve()
OUTAGE = "echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1"
SUBMISSION = ["--parsable", "--job-name", "run", "--comment", "rule_train_wildcards_demo_1", "-p", "gpu", "--nodes=1"]
GPU_NODES = "echo '1:00:00|8|500000+|gpu:a100:8(S:0-1)|gpu'"
TWO_PARTITIONS = """
echo '1:00:00|8|8000|(null)|gpu'
case "$*" in *--partition=gpu*) ;; *) echo '1:00:00|8|8000|gpu:2|long*' ;; esac"""
INVALID = "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified"


@pytest.fixture
def slurm(tmp_path):
    """Call a program through slurm/bin; `slurm.answers(squeue="...")` says by which commands Slurm's own answer."""

    def call(program, *arguments):
        path = f"{BIN}:{tmp_path / 'real'}:{os.environ['PATH']}"
        command = [program, *map(str, arguments)]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
            input="",
        )

    def answers(**scripts):
        for program, script in scripts.items():
            file = tmp_path / "real" / program
            file.write_text(f"#!/bin/sh\n{script}\n")
            file.chmod(0o755)

    (tmp_path / "real").mkdir()
    answers(squeue="true", sacct="true", sinfo=GPU_NODES, scancel="true", sbatch="echo 7")
    call.answers, call.folder = answers, tmp_path
    return call


def states(slurm, program="sacct"):
    done = slurm(program, "--name", "run", "--noheader")
    assert done.returncode == 0, "the executor forgets its jobs after an error"
    return dict(line.split("|") for line in done.stdout.splitlines())


def test_cancelled_job_is_named_as_the_executor_knows_it(slurm):
    slurm.answers(sacct="echo '5|CANCELLED by 0'; echo '6|RUNNING'")
    assert states(slurm) == {"5": "CANCELLED", "6": "RUNNING"}


@pytest.mark.parametrize(("asked", "other"), [("sacct", "squeue"), ("squeue", "sacct")])
def test_other_program_is_asked_where_one_does_not_answer(slurm, asked, other):
    slurm.answers(**{asked: OUTAGE, other: "echo '5|COMPLETED'"})
    assert states(slurm, asked) == {"5": "COMPLETED"}


def test_outage_is_no_answer_and_no_error(slurm):
    slurm.answers(squeue=OUTAGE, sacct=OUTAGE)
    assert states(slurm) == {}


@pytest.mark.parametrize(
    ("queue", "state"), [("echo PREEMPTED", "CANCELLED"), ("echo PENDING", "PENDING"), (OUTAGE, "PENDING")]
)
def test_preempted_job_is_waited_for_only_if_slurm_starts_it_again(slurm, queue, state):
    slurm.answers(sacct="echo '5|PREEMPTED'", squeue=queue)
    assert states(slurm) == {"5": state}


@pytest.mark.parametrize(("seconds", "found"), [(10, {}), (3600, {"7": "UNKNOWN"})])
def test_job_that_slurm_has_forgotten_is_looked_for_in_its_output(slurm, seconds, found):
    slurm("sbatch", *SUBMISSION)
    record = slurm.folder / ".snakemake/slurm_jobs/run"
    row = json.loads(record.read_text())
    assert row["job"] == "7"
    record.write_text(json.dumps(row | {"submitted": time.time() - seconds}) + "\n")
    assert states(slurm) == found


def test_other_uses_are_passed_on(slurm):
    slurm.answers(sacct='echo "$@"', sbatch='echo "$@"')
    assert slurm("sacct", "-j", "5.0", "--format=Reason").stdout == "-j 5.0 --format=Reason\n"
    assert slurm("sbatch", "--version").stdout == "--version\n"


def test_submission_waits_for_the_end_of_an_outage_and_is_not_repeated(slurm):
    """The answer to the first submission is lost; the queue then has its job."""
    slurm.answers(
        sbatch=f"echo x >> {slurm.folder}/submitted; {OUTAGE}",
        squeue=f"test -e {slurm.folder}/submitted && echo '9|run|rule_train_wildcards_demo_1|{slurm.folder}'",
    )
    edited = (BIN / "sbatch").read_text().replace("SECONDS_BETWEEN_SUBMISSIONS = 10", "SECONDS_BETWEEN_SUBMISSIONS = 0")
    (slurm.folder / "sbatch").write_text(edited)
    (slurm.folder / "sbatch").chmod(0o755)
    done = slurm(slurm.folder / "sbatch", *SUBMISSION, "-D", slurm.folder)
    assert (done.returncode, done.stdout) == (0, "9\n")
    assert (slurm.folder / "submitted").read_text() == "x\n"


def test_job_of_an_earlier_run_is_ended_first(slurm):
    slurm.answers(
        squeue=f"test -e {slurm.folder}/ended || echo '3|earlier|rule_train_wildcards_demo_1|{slurm.folder}'",
        scancel=f"echo $1 > {slurm.folder}/ended",
        sbatch=f"test -e {slurm.folder}/ended && echo 7",
    )
    assert slurm("sbatch", *SUBMISSION, "-D", slurm.folder).stdout == "7\n"
    assert (slurm.folder / "ended").read_text() == "3\n"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["-t", "61"], "minutes 61, but the partition's time limit is 60 minutes"),
        (["--gpus=a100:9"], "GPUs a100:9, but a node has at most 8 such GPUs: gpu:a100:8(S:0-1)"),
        (["--gpus=h100:1"], "GPUs h100:1, but a node has at most 0 such GPUs: gpu:a100:8(S:0-1)"),
        (["--mem", "500001"], "memory (MB) 500001, but a node has at most 500000 MB of memory"),
        (
            ["--gpus=a100:2", "--cpus-per-gpu=6"],
            "CPUs for each GPU 6, but a node has at most 8 CPUs (hardware.cpus_per_gpu",
        ),
        (["--cpus-per-task=9"], "CPUs 9, but a node has at most 8 CPUs"),
    ],
)
def test_what_can_never_run_is_refused_with_rule_request_and_limit(slurm, flags, sentence):
    done = slurm("sbatch", *SUBMISSION, *flags)
    assert done.returncode == 1
    assert "rule train (demo_1) asks for partition gpu, " in done.stderr
    assert sentence in done.stderr


def test_what_just_fits_is_submitted(slurm):
    flags = ["-t", "60", "--gpus=a100:8", "--mem", "500000", "--cpus-per-task=8"]
    assert slurm("sbatch", *SUBMISSION, *flags).stdout == "7\n"
    slurm.answers(sinfo="echo 'infinite|8|500000|(null)|gpu'; echo '2-12:30:00|8|500000|gpu:2|gpu'")
    assert slurm("sbatch", *SUBMISSION, "-t", "100000", "--gpus=2").stdout == "7\n"


def test_later_attempts_ask_for_no_more_than_there_is(slurm):
    """A cancelled job comes again with twice the memory and time, also where one node has hardly more than it needs."""
    nodes = ["1:00:00|8|500000|(null)|gpu", "1:00:00|8|8000|gpu:a100:8|gpu", "30:00|8|6000|gpu:a100:8|gpu"]
    slurm.answers(sinfo="; ".join(f"echo '{node}'" for node in nodes), sbatch='echo "$@" >> asked; echo 7')
    more = ["-t", "80", "--mem", "10000", "--gpus=a100:8"]
    assert slurm("sbatch", *SUBMISSION, *more).returncode == 1, "a first attempt that can never run is refused"
    assert slurm("sbatch", *SUBMISSION, "-t", "40", "--mem", "5000", "--gpus=a100:8").returncode == 0
    assert slurm("sbatch", *SUBMISSION, *more).returncode == 0
    first, second = (slurm.folder / "asked").read_text().splitlines()
    assert "-t 40 --mem 5000" in first
    assert "-t 60 --mem 8000" in second, "what the nodes with the GPUs have"
    rows = [json.loads(line) for line in (slurm.folder / ".snakemake/slurm_jobs/run").read_text().splitlines()]
    assert [(row["minutes"], row["memory"]) for row in rows] == [("40", "5000"), ("60", "8000")]


def test_another_job_s_attempts_and_another_run_s_do_not_count(slurm):
    slurm.answers(sinfo="echo '1:00:00|8|8000|(null)|gpu'")
    slurm("sbatch", *SUBMISSION, "--mem", "5000")
    for flag, value in (("--comment", "rule_train_wildcards_demo_2"), ("--job-name", "another")):
        assert slurm("sbatch", *SUBMISSION, flag, value, "--mem", "10000").returncode == 1


def test_partition_without_gpus_is_named_with_its_key_and_those_that_have_some(slurm):
    slurm.answers(sinfo=TWO_PARTITIONS)
    said = slurm("sbatch", *SUBMISSION, "--gpus=a100:1").stderr
    assert "asks for partition gpu, GPUs a100:1, but the partition's nodes have no GPU" in said
    assert "partitions whose nodes have: long (slurm_partition in slurm/config.yaml)" in said


def test_refused_account_is_not_waited_for_and_its_key_is_named(slurm):
    slurm.answers(sbatch=f"echo x >> {slurm.folder}/submitted; echo '{INVALID}' >&2; exit 1")
    done = slurm("sbatch", *SUBMISSION, "-A", "wrong")
    assert done.returncode == 1
    assert (slurm.folder / "submitted").read_text() == "x\n"
    assert "asks for account wrong, partition gpu, which Slurm refuses: " in done.stderr
    assert "correct slurm_account in slurm/config.yaml: `sacctmgr show assoc user=$USER" in done.stderr
