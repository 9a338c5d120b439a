"""A run that Slurm would take no job of ends before its first one. Slurm's programs are stood in for by scripts."""

import getpass
import os
from types import SimpleNamespace

import pytest

from isheep.files.records import InputError
from isheep.workflow import cluster

REFUSED = "echo 'sbatch: error: Invalid account or account/partition combination specified' >&2; exit 1"
OUTAGE = "echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1"


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Say by which commands Slurm's programs answer."""

    def answers(**scripts):
        for program, script in scripts.items():
            file = tmp_path / program
            file.write_text(f"#!/bin/sh\n{script}\n")
            file.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    cluster._accounts.cache_clear()
    answers(sbatch="exit 0", sacctmgr="echo ' lab '; echo ' Guests '")
    return answers


def workflow(account: str | None, is_local: bool = False) -> SimpleNamespace:
    """What is looked at of a workflow with one job to run."""
    resources = {"slurm_partition": "gpu"} | ({"slurm_account": account} if account else {})
    job = SimpleNamespace(is_local=is_local, resources=resources)
    return SimpleNamespace(dag=SimpleNamespace(needrun_jobs=lambda: [job]))


@pytest.mark.parametrize("account", ["lab", "guests", "lab,Guests", None])
def test_known_accounts_are_taken(slurm, account):
    cluster.refuse_wrong_account(workflow(account))


@pytest.mark.parametrize("account", ["CHANGE_ME", "lab, CHANGE_ME"])
def test_unknown_account_is_refused_with_its_key_and_those_there_are(slurm, account):
    expected = (
        f"slurm_account CHANGE_ME: Slurm takes no job of user {getpass.getuser()} .* known are guests, lab "
        r"\(`sacctmgr show assoc user=\$USER .* slurm/config\.yaml, or remove it"
    )
    with pytest.raises(InputError, match=expected):
        cluster.refuse_wrong_account(workflow(account))


def test_account_that_slurm_itself_refuses_in_the_partition_is_too(slurm):
    slurm(sbatch=REFUSED)
    with pytest.raises(InputError, match=r"slurm_account lab: .* in partition gpu"):
        cluster.refuse_wrong_account(workflow("lab"))


def test_nothing_is_refused_where_slurm_keeps_no_accounts_or_does_not_answer(slurm):
    slurm(sacctmgr="exit 1", sbatch=OUTAGE)
    cluster.refuse_wrong_account(workflow("CHANGE_ME"))


def test_nothing_is_asked_where_no_job_goes_to_slurm(slurm):
    slurm(sacctmgr="echo lab", sbatch=REFUSED)
    cluster.refuse_wrong_account(workflow("CHANGE_ME", is_local=True))


@pytest.mark.parametrize(
    ("flags", "nodes", "elsewhere"),
    [
        (["--cores", "2"], None, False),
        (["-n", "-j4"], 4, False),
        (["--jobs", "4", "--executor", "local"], 4, False),
        (["-n", "--jobs", "4", "--executor", "dryrun"], 4, True),
    ],
)
def test_jobs_run_elsewhere_where_the_executor_is_another(monkeypatch, capsys, flags, nodes, elsewhere):
    monkeypatch.setattr("sys.argv", ["snakemake", *flags])
    flow = SimpleNamespace(remote_exec=False, global_resources={"_nodes": SimpleNamespace(value=nodes)})
    assert cluster.runs_elsewhere(flow) is elsewhere
    assert capsys.readouterr().err == "", "Snakemake has told its profiles already"


def test_a_job_on_a_node_is_elsewhere():
    assert cluster.runs_elsewhere(SimpleNamespace(remote_exec=True))
