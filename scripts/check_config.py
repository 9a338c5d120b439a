"""Check configuration files, alone or one on top of the other, as a run does at its start.

Snakemake itself opens what --configfile names, and says little of a file that does not exist or is not valid YAML. This
names the line, or the file of the nearest name. What would run is told by `snakemake --dry-run`.
"""

import argparse
import sys
from pathlib import Path

from isheep import cli
from isheep.config.checks import check_experiment
from isheep.config.loading import read_config
from isheep.config.matrix import Matrix
from isheep.spelling import listed


def main(arguments: argparse.Namespace) -> None:
    """Check, and say in one line what the configuration is about."""
    config = read_config(arguments.files)
    matrix = Matrix(config)
    check_experiment(matrix, str(arguments.files[-1]))
    for warning in [*matrix.warm_up_warnings(), *matrix.unmeasured_warnings()]:
        print(f"Warning: {warning}", file=sys.stderr)
    benchmarks = matrix.benchmarks()
    models = listed(config.experiment.models) if config.experiment.models else "no model"
    measured = listed(benchmarks) if benchmarks else "nothing"
    print(
        f"{listed(arguments.files)}: nothing wrong was found. Experiment {config.experiment.name}: {models}; "
        f"{len(matrix.trained())} checkpoints to train for each seed; measured is {measured}."
    )


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("files", type=Path, nargs="+", help="configuration files, as --configfile of snakemake takes them")

if __name__ == "__main__":
    cli.run(main, parser)
