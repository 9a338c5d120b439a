"""Fetch a hub repository, as a folder of a hub cache that every later job uses offline.

Its commit is the lock file's, or else the newest, which is added to that file.
"""

import argparse
from pathlib import Path

from isheep import cli
from isheep.fetch.sources import HubSource, fetch_snapshot, lock_revision, newest_commit
from isheep.files.ownership import Output


def main(arguments: argparse.Namespace) -> None:
    """Resolve, fetch and publish."""
    source = HubSource.model_validate_json(arguments.source)
    revision = lock_revision(source, Path(arguments.lock), newest_commit)
    fetch_snapshot(source, revision, arguments.output)
    print(f"{arguments.output}: {source.repository} at {revision}")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--source", required=True, help="the repository as the manifest describes it, JSON")
parser.add_argument("--lock", required=True, help="lock file, YAML; a commit that it lacks is added")
parser.add_argument("--output", type=Output, required=True, help="folder to write, named as hub caches name it")

if __name__ == "__main__":
    cli.run(main, parser)
