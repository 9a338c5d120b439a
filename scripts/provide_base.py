"""Bring a base model into the one form that every stage reads: a folder with safetensors weights and identity.json.

Weights of a folder or a hub snapshot are linked, not copied; nothing but data files is taken, and no code is run.
"""

import argparse
import os
import shutil
from pathlib import Path

from isheep import cli
from isheep.data.room import Asked, require_room
from isheep.engine.base_models import CHAT_TEMPLATE, require_base_model, require_chat_template
from isheep.engine.identity import require_whole, write_identity
from isheep.fetch.hub_cache import MODEL_FILES, snapshot_of
from isheep.files.ownership import Output
from isheep.files.records import InputError, file_sha256, listed_checksums, publish


def main(arguments: argparse.Namespace) -> None:
    """Verify, link and identify the base model's files."""
    if arguments.repository:
        folder = snapshot_of(arguments.hub_cache, arguments.repository, "model")
    elif arguments.checksums:
        folder = arguments.checksums.parent
        verify(folder, arguments.checksums)
    else:
        folder = arguments.folder
    files = sorted({path for pattern in MODEL_FILES for path in folder.glob(pattern)})
    require_base_model(folder)
    require_whole(folder)
    if arguments.chats_as and not arguments.chat_template:
        require_chat_template(folder, arguments.chats_as, "the configuration")
    if arguments.asked:
        require_room(folder, arguments.name, Asked.model_validate_json(arguments.asked), "the configuration")
    with publish(arguments.output) as partial:
        partial.mkdir()
        for path in files:
            (partial / path.name).symlink_to(link_target(path, partial))
        if arguments.chat_template:
            (partial / CHAT_TEMPLATE).unlink(missing_ok=True)
            shutil.copy(arguments.chat_template, partial / CHAT_TEMPLATE)
        write_identity(partial)
    print(f"{arguments.output}: {len(files)} files of {folder}")


def link_target(path: Path, folder: Path) -> Path:
    """What a link in a folder says to reach a file: its place from there where both are below the working folder, which
    may then be moved or copied as a whole; else its full path."""
    target, home, here = path.resolve(), folder.resolve(), Path.cwd().resolve()
    is_inside = target.is_relative_to(here) and home.is_relative_to(here)
    return Path(os.path.relpath(target, home)) if is_inside else target


def verify(folder: Path, checksums: Path) -> None:
    """Raise InputError for the first file of a sha256sum list that is missing or has another content."""
    for name, expected in listed_checksums(checksums).items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path}: the file is missing, though {checksums} lists it; restore it.")
        found = file_sha256(path)
        if found != expected:
            raise InputError(f"{path}: expected sha256 {expected}, found {found}; restore the file.")


parser = argparse.ArgumentParser(description=__doc__)
source = parser.add_mutually_exclusive_group(required=True)
source.add_argument("--folder", type=Path, help="local folder with the base model")
source.add_argument("--repository", help="hub repository, owner/name")
source.add_argument("--checksums", type=Path, help="sha256sum list beside the files, which must match it")
parser.add_argument("--hub-cache", type=Path, help="hub cache into which the repository was fetched")
parser.add_argument("--chat-template", type=Path, help="Jinja file to use instead of the tokenizer's own")
parser.add_argument("--chats-as", help="name of a model that must have a chat template, since it will be trained")
parser.add_argument("--name", help="its name in the configuration, for errors")
parser.add_argument("--asked", help="what it will be asked to read and write, JSON: it must have room for that")
parser.add_argument("--output", type=Output, required=True, help="folder to write")

if __name__ == "__main__":
    cli.run(main, parser)
