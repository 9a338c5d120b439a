"""Fetch one file of the manifest, verified by its checksum."""

import argparse
from pathlib import Path

from isheep import cli
from isheep.fetch.sources import fetch_file, load_sources
from isheep.files.ownership import Output


def main(arguments: argparse.Namespace) -> None:
    """Fetch, verify and publish."""
    fetch_file(arguments.file, load_sources(arguments.sources), arguments.output, arguments.mirror or None)
    print(f"{arguments.output}: fetched and verified")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--sources", type=Path, required=True, help="the manifest, YAML")
parser.add_argument("--file", required=True, help="name of the file in the manifest")
parser.add_argument("--mirror", help="folder to copy from instead of the network; empty for none")
parser.add_argument("--output", type=Output, required=True, help="file to write")

if __name__ == "__main__":
    cli.run(main, parser)
