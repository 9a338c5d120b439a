"""The configuration that results were made with, kept beside them: whole, with every default, and without secrets."""

import json
import re
from pathlib import Path

import yaml

from isheep.config.schema import Config
from isheep.files.records import publish
from isheep.report.page import PAGE

CONFIGURATION = "configuration.yaml"
HEADING = """\
# The configuration of the last run that made anything of these results, with every default: itself a --configfile.
# Written by the workflow; what each result was made with stands in its own record.
"""
PASSWORD = re.compile(r'(?<=://)[^/@\s"]+@')
"""User and password in an address. Keys of APIs are never part of a configuration, which names their variable."""


def shown_configuration(config: Config) -> dict:
    """Return the configuration as it may be shown: with every default, and without passwords."""
    # Of the hardware what was given: the rest is found on each machine.
    hardware = config.hardware.model_dump(mode="json", exclude_unset=True)
    content = config.model_dump(mode="json") | {"hardware": hardware}
    return json.loads(PASSWORD.sub("", json.dumps(content)))


def keep_configuration(config: Config, folder: str | Path) -> None:
    """Write the configuration into the folder of its results. No rule makes this file or reads it."""
    content = yaml.safe_dump(shown_configuration(config), sort_keys=False, allow_unicode=True, width=120)
    with publish(Path(folder, CONFIGURATION)) as partial:
        partial.write_text(HEADING + content, encoding="utf-8")


def say_where_results_are(folder: str | Path) -> None:
    """Say, after a run that has succeeded, where an experiment's scores are."""
    scores, page = Path(folder, "tables", "scores.csv"), Path(folder, PAGE)
    if scores.exists():
        report = f" Report, in a browser: {page}." if page.exists() else ""
        print(
            f"Every score: {scores}, and with all that it was made from in "
            f"{folder}/<model>/seed<s>/<checkpoint>/benchmarks/<benchmark>/result.json. "
            f"Tables: {folder}/tables. Configuration: {folder}/{CONFIGURATION}.{report}"
        )
