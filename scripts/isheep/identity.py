"""A checkpoint's identity: the hash of everything in its folder that can change what it writes."""

import hashlib
import json
from pathlib import Path

from isheep.records import InputError, file_sha256, write_json

IDENTITY_FILE = "identity.json"
IDENTITY_PATTERNS = (
    "*.safetensors",
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "chat_template*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
"""Files of a checkpoint folder that can change what it writes; README files and logs cannot."""


def write_identity(folder: Path) -> str:
    """Write identity.json, the sha256 over names and contents of the files that make a checkpoint; return the sha256.

    Files are read in blocks, so the weights need not fit in memory. Raises InputError for a folder without weights.
    """
    files = sorted({path for pattern in IDENTITY_PATTERNS for path in folder.glob(pattern)})
    if not any(path.suffix == ".safetensors" for path in files):
        raise InputError(f"{folder} holds no *.safetensors file; save the weights before their identity.")
    total = hashlib.sha256()
    for path in files:
        total.update(f"{path.name}\0{file_sha256(path)}\n".encode())
    write_json(folder / IDENTITY_FILE, {"sha256": total.hexdigest()})
    return total.hexdigest()


def read_identity(folder: Path) -> str:
    """The sha256 in the folder's identity.json. Raises InputError if the file is missing or is not one."""
    path = Path(folder) / IDENTITY_FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))["sha256"]
    except FileNotFoundError:
        raise InputError(
            f"{path} is missing: the rule that makes a checkpoint writes it last (isheep.identity.write_identity); "
            "make the checkpoint again."
        ) from None
    except (json.JSONDecodeError, KeyError, TypeError):
        raise InputError(f'{path} is not of the form {{"sha256": …}}; make the checkpoint again.') from None
