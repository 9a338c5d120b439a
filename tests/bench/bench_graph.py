"""How long Snakemake takes to plan the paper and ever larger sweeps, and how that grows.

The named peer is Snakemake itself: a bare workflow with as many jobs in the same chain of ten steps, one input and one
output each, no parameters and no configuration. The ratio is what our rules cost beyond that.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from workspace import Workspace  # noqa: E402

SEEDS_OF_SWEEP = (1, 6, 12, 24)
"""Replicates of config/demo_matrix.yaml; 24 are more than 10,000 jobs."""
STEPS = 10

BARE = """
rule all:
    input: expand("out/{{chain}}/{steps}", chain=range({chains}))

rule first:
    output: "out/{{chain}}/1"
    shell: "touch {{output}}"

rule step:
    input: lambda wildcards: f"out/{{wildcards.chain}}/{{int(wildcards.step) - 1}}"
    output: "out/{{chain}}/{{step}}"
    wildcard_constraints: step="[2-9]|1[0-9]"
    shell: "touch {{output}}"
"""


def main() -> None:
    """Print one line a plan."""
    print(f"{'plan':<24}{'jobs':>8}{'seconds':>9}{'a bare one':>12}{'ratio':>7}{'ms a job':>10}")
    with tempfile.TemporaryDirectory() as folder:
        report("config/paper.yaml", plan(Path(folder) / "paper", "config/paper.yaml"), folder)
        for seeds in SEEDS_OF_SWEEP:
            home = Path(folder) / f"sweep{seeds}"
            sweep = {"include": ["config/demo_matrix.yaml"], "experiment": {"seeds": list(range(1, seeds + 1))}}
            report(f"sweep over {seeds} seeds", plan(home, "sweep.yaml", sweep), folder)


def plan(home: Path, configfile: str, content: dict | None = None) -> tuple[int, float]:
    """Return the number of jobs of a dry run, and its seconds."""
    workspace = Workspace(home, configfile)
    if content:
        (home / configfile).write_text(yaml.safe_dump(content), encoding="utf-8")
    started = time.perf_counter()
    shown = workspace.snakemake("--dry-run", "--quiet", "host").stdout
    seconds = time.perf_counter() - started
    return int(next(line.split()[1] for line in shown.splitlines() if line.startswith("total "))), seconds


def report(name: str, planned: tuple[int, float], folder: str) -> None:
    """Time a bare workflow of as many jobs, and print the line."""
    jobs, seconds = planned
    bare = Path(folder) / "bare"
    bare.mkdir(exist_ok=True)
    (bare / "Snakefile").write_text(BARE.format(steps=STEPS, chains=jobs // STEPS), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--dry-run", "--quiet", "host"]
    started = time.perf_counter()
    subprocess.run(command, cwd=bare, check=True, capture_output=True)
    peer = time.perf_counter() - started
    print(f"{name:<24}{jobs:>8}{seconds:>9.1f}{peer:>12.1f}{seconds / peer:>7.1f}{1000 * seconds / jobs:>10.2f}")


if __name__ == "__main__":
    main()
