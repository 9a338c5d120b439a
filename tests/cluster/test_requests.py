"""A request that no node can meet is refused at once, and the message names rule, request and limit."""

import pytest
from sites import Responses

import cluster as machines

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def output(cluster, checkpoint, tmp_path_factory):
    """What the user sees of five bad requests, in one run."""
    site = Responses(
        tmp_path_factory.mktemp("refused"),
        checkpoint,
        nowhere={"instructions": 1, "partition": "nowhere"},
        gpus={"instructions": 1, "gpu": 3},
        slow={"instructions": 1, "runtime": 3000},
        wide={"instructions": 1, "mem_mb": 9000},
        busy={"instructions": 1, "gpu": 2, "cpus_per_gpu": 2},
    )
    text = site.run("--retries", "0", status=1)
    assert not [number for job in site.jobs for number in site.slurm_jobs(job)], "nothing waits in the queue"
    return text


def test_a_wrong_account_ends_the_run_before_its_first_job(cluster, checkpoint, tmp_path):
    site = Responses(tmp_path, checkpoint, account="wrong", one={"instructions": 1}, two={"instructions": 1})
    output = site.run(status=1)
    [line] = [line for line in output.splitlines() if "slurm_account wrong" in line and line.startswith("Error: ")]
    assert "known are root, tests (`sacctmgr show assoc user=$USER" in line
    assert "Trying to restart" not in output
    assert "rule write_responses:" not in output


@pytest.mark.parametrize(
    ("job", "request_", "limit"),
    [
        ("nowhere", "partition nowhere", "there is no such partition; there are: cpu, gpu, urgent"),
        ("gpus", "GPUs fake:3", "a node has at most 2 such GPUs: gpu:fake:2"),
        ("slow", "minutes 3000", f"the partition's time limit is {machines.PARTITION_MINUTES} minutes"),
        ("wide", "memory (MB) 9000", f"a node has at most {machines.MEMORY_MB} MB of memory"),
        ("busy", "CPUs for each GPU 2", f"a node has at most {machines.CPUS} CPUs (hardware.cpus_per_gpu"),
    ],
)
def test_refusal_names_rule_request_and_limit(output, job, request_, limit):
    line = next(line for line in output.splitlines() if f"rule write_responses ({job}) asks for" in line)
    assert request_ in line
    assert limit in line
