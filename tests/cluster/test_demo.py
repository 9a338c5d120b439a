"""The reduced demo on the cluster: where its jobs ran, on what, and that its results are a local run's."""

import os
import re
import shutil
from pathlib import Path

import pytest
from sites import HERE, Site, accounted

import cluster as machines
from isheep.files.records import read_jsonl
from workspace import ROOT, Workspace

pytestmark = pytest.mark.end_to_end

CONFIGURATION = ("config/config.yaml", "demo.yaml")
WITH_A_MODEL = {"write_instructions", "write_responses", "assess_pairs", "train_all_weights", "measure"}


ENVIRONMENTS = os.environ.get("ISHEEP_ENVIRONMENTS")


class Demo(Site):
    """A copy of the project in which the demo is run on the cluster."""

    def __init__(self, folder: Path):
        Workspace(folder)
        super().__init__(folder)
        shutil.copy(HERE / "demo.yaml", folder / "demo.yaml")

    def slurm_jobs(self) -> dict[str, dict[str, dict[str, str]]]:
        """Rule → wildcards → what the accounting has on the Slurm job."""
        lines = machines.ask("squeue", "--noheader", "--states=all", "--format=%i|%k|%Z").splitlines()
        jobs: dict[str, dict] = {}
        for number, comment, folder in (line.split("|") for line in lines):
            if Path(folder) == self.folder:
                rule, _, wildcards = comment.removeprefix("rule_").partition("_wildcards_")
                jobs.setdefault(rule, {})[wildcards] = accounted(number) | {"JobID": number}
        return jobs


@pytest.fixture(scope="module")
def demo(cluster, tmp_path_factory):
    """The demo after its run on the cluster."""
    site = Demo(tmp_path_factory.mktemp("demo"))
    for folder in Path("/tmp").glob(
        "isheep-devices-0-[0-9]*"
    ):  # of earlier clusters, which count their jobs from 1 too
        shutil.rmtree(folder)
    site.output = site.run("--configfile", *CONFIGURATION)
    return site


def test_only_jobs_with_a_model_went_to_the_queue(demo):
    queued = set(demo.slurm_jobs())
    finished = set(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", demo.output, flags=re.MULTILINE))
    assert WITH_A_MODEL <= queued <= WITH_A_MODEL | {"demo_model_shipped"}
    assert {"select_instructions", "filter_responses", "select_pairs", "make_table"} <= finished - queued


def test_shards_ran_side_by_side_on_several_nodes(demo):
    for rule in ("write_instructions", "write_responses"):
        first, second = (job for wildcards, job in demo.slurm_jobs()[rule].items() if "_base_" in wildcards)
        assert first["NodeList"] != second["NodeList"]
        assert max(first["Start"], second["Start"]) < min(first["End"], second["End"])


def test_jobs_with_a_model_got_the_gpus_they_asked_for(demo):
    for rule, jobs in demo.slurm_jobs().items():
        for job in jobs.values():
            assert ("gres/gpu=1" in job["AllocTRES"]) == (rule in WITH_A_MODEL)
            claimed = [path.name for path in Path(f"/tmp/isheep-devices-0-{job['JobID']}").glob("device-*")]
            # Each job counts its devices from 0, in CUDA_VISIBLE_DEVICES; the program has claimed what it found there.
            assert len(claimed) == (rule in WITH_A_MODEL)


def test_results_are_those_of_a_local_run(demo, tmp_path):
    local = Workspace(tmp_path, *CONFIGURATION)
    text = (HERE / "demo.yaml").read_text()
    (tmp_path / "demo.yaml").write_text(text.replace("gpus_per_node: 2", "gpus_per_node: 0"))
    local.snakemake()
    for name in ("tables/main.csv", "tables/scores.csv", "demo/seed1/one_base/iter1/training_set.jsonl"):
        there, here = (folder / "results/cluster" / name for folder in (demo.folder, tmp_path))
        assert there.read_bytes() == here.read_bytes(), name
    items = "results/cluster/demo/seed1/one_base/iter1/benchmarks/ifeval/items.jsonl"
    there, here = (read_jsonl(folder / items) for folder in (demo.folder, tmp_path))
    assert there == here


def test_slurm_was_asked_through_our_programs(demo):
    records = list((demo.folder / ".snakemake/slurm_jobs").iterdir())
    assert sum(len(record.read_text().splitlines()) for record in records) >= len(WITH_A_MODEL)


def test_nothing_is_left_to_do(demo):
    assert "Nothing to be done" in demo.run("--configfile", *CONFIGURATION)


@pytest.mark.skipif(not ENVIRONMENTS, reason="no environments were made: make test-environments")
def test_jobs_run_in_the_environments_of_their_rules(cluster, tmp_path):
    """As the profile has it: by conda, whose stand-in in tests/environments has made them. Nothing else has torch."""
    site = Demo(tmp_path)
    path = os.pathsep.join([str(ROOT / "tests/environments/bin"), "/usr/bin", "/bin", "/usr/sbin", "/sbin"])
    weights = "results/cluster/demo/seed1/one_base/iter1/weights"
    site.run(
        *(weights, "--software-deployment-method", "conda", "--conda-prefix", str(Path(ENVIRONMENTS).resolve())),
        *("--configfile", *CONFIGURATION),
        path=path,
    )
    assert set(site.slurm_jobs()) >= WITH_A_MODEL - {"measure"}
    assert (tmp_path / weights / "model.safetensors").exists()
