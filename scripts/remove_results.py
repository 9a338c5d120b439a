"""Remove an experiment's results, and what Snakemake has recorded of them; other experiments keep theirs."""

import argparse
import shutil
from pathlib import Path

from isheep import cli
from isheep.files import recorded


def main(arguments: argparse.Namespace) -> None:
    """Remove the folder and the records. Without these, Snakemake would plan outputs of the same path by old ones."""
    recorded.forget(Path(arguments.results))
    shutil.rmtree(arguments.results, ignore_errors=True)


parser = argparse.ArgumentParser(description=__doc__)
# No path for `program`, which watches what is read for changes.
parser.add_argument("--results", required=True, help="folder of the experiment's results, results/<name>")

if __name__ == "__main__":
    cli.run(main, parser)
