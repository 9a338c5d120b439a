"""Time what a job costs on a one-machine Slurm beside its work: against a local run, for empty jobs and for the demo.

    python tests/cluster/bench_overhead.py --jobs 10

Starts and stops the cluster, and takes about 7 minutes; without a Slurm, a line says what is missing.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sites import HERE, SNAKEMAKE, Site

import cluster as machines
from workspace import Workspace

NOTHING = """\
rule all:
    localrule: True
    input:
        expand("{{job}}.done", job=range({jobs})),


rule nothing:
    output:
        "{{job}}.done",
    resources:
        mem_mb=1000,
    shell:
        "touch {{output}}"
"""
CONFIGURATION = ("config/config.yaml", "demo.yaml")


def main(arguments: argparse.Namespace) -> None:
    """Print seconds on the cluster and here, and the difference for each job."""
    lacking = [*machines.missing(), *([] if SNAKEMAKE.exists() else [str(SNAKEMAKE)])]
    if lacking:
        print(f"No overhead is measured: {', '.join(lacking)} missing; make test-cluster installs it.")
        return
    slurm = machines.Cluster()
    slurm.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            print(nothing(Path(folder), arguments.jobs), flush=True)
        with tempfile.TemporaryDirectory() as folder:
            print(demo(Path(folder)))
    finally:
        slurm.stop()


def nothing(folder: Path, jobs: int) -> str:
    """Jobs that take no time, on the packages of Snakemake alone."""
    sites = {name: folder / name for name in ("slurm", "here")}
    for site in sites.values():
        site.mkdir()
        (site / "Snakefile").write_text(NOTHING.format(jobs=jobs))
    there = seconds(Site(sites["slurm"]).run, "--configfile", HERE / "overlay/config.yaml")
    here = seconds(subprocess.run, [SNAKEMAKE, "--cores", "2", "--quiet", "all"], cwd=sites["here"], check=True)
    return f"{jobs} jobs that do nothing: {report(there, here)}; {(there - here) / jobs:.1f} s a job"


def demo(folder: Path) -> str:
    """The reduced demo of the tests, with two jobs at a time here, and one on each of the cluster's three nodes."""
    there, here = folder / "slurm", folder / "here"
    Workspace(there)
    local = Workspace(here, *CONFIGURATION)
    for home in (there, here):
        shutil.copy(HERE / "demo.yaml", home / "demo.yaml")
    without_gpus = local.changed("demo.yaml", "gpus_per_node: 2", "gpus_per_node: 0")
    on_slurm = seconds(Site(there).run, "--configfile", *CONFIGURATION)
    with without_gpus:
        return f"the reduced demo: {report(on_slurm, seconds(local.snakemake))}"


def seconds(do: Callable, *arguments: object, **named: object) -> float:
    """How long a call takes."""
    started = time.monotonic()
    do(*arguments, **named)
    return time.monotonic() - started


def report(there: float, here: float) -> str:
    """Both times, and their ratio."""
    return f"{there:.1f} s on Slurm, {here:.1f} s without, {there / here:.1f} times as long"


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--jobs", type=int, default=10, help="jobs that do nothing")

if __name__ == "__main__":
    main(parser.parse_args())
