"""A checkpoint's identity: the hash of everything in its folder that can change what it writes."""

import hashlib
import json
from pathlib import Path

from isheep.files.reading import read_object
from isheep.files.records import InputError, file_sha256, write_json

IDENTITY_FILE = "identity.json"
MARKED = 1 << 20
"""Bytes at the end of a file by which it is told from another one of its size."""
RESTORE = "restore it, or remove its folder and make or fetch the weights again"
IDENTITY_PATTERNS = (
    "*.safetensors",
    "config.json",
    "adapter_config.json",
    "generation_config.json",
    "tokenizer*",
    "chat_template*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
"""Files of a checkpoint folder that can change what it writes; README files and logs cannot."""


def require_whole(folder: Path) -> None:
    """Raise InputError, naming it, for the first file of weights that is torn, or that the folder's index lacks; and
    for a file that is missing, new, or another one than when the checkpoint's identity was written."""
    for index in sorted(folder.glob("*.safetensors.index.json")):
        try:
            named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
            raise InputError(f"{index} is torn, or no index of weights; {RESTORE}.") from None
        for name in sorted(named):
            if not (folder / name).exists():
                raise InputError(f"{folder / name} is missing, though {index.name} names it; {RESTORE}.")
    for path in sorted(folder.glob("*.safetensors")):
        _require_whole_file(path)
    _require_same_files(folder)


def _require_same_files(folder: Path) -> None:
    written = read_object(folder / IDENTITY_FILE).get("marks") if (folder / IDENTITY_FILE).exists() else None
    if written is None:
        return
    there = {path.name: _mark(path) for path in _files(folder)}
    for name in sorted(written.keys() | there.keys()):
        if written.get(name) != there.get(name):
            now, then = (of.get(name, "missing") for of in (there, written))
            raise InputError(
                f"{folder / name} is not what the checkpoint was made with (now {now}, then {then}); {RESTORE}."
            )


def _mark(path: Path) -> str:
    """A file's size, and the start of the sha256 of its last MiB: to read all weights at each start would take minutes,
    and training changes the last of them as it changes the others."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        file.seek(max(0, size - MARKED))
        return f"{size} bytes, {hashlib.sha256(file.read()).hexdigest()[:12]}"


def _files(folder: Path) -> list[Path]:
    """The files that make a checkpoint."""
    return sorted({path for pattern in IDENTITY_PATTERNS for path in folder.glob(pattern)})


def _require_whole_file(path: Path) -> None:
    """A safetensors file begins with the length of its header, 8 bytes; the header says where each tensor ends."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if 8 + length <= size else {}
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); {RESTORE}.") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise InputError(f"{path} is torn: its header is not that of a safetensors file; {RESTORE}.") from None
    promised = 8 + length + max(ends, default=0)
    if size < 8 or size != promised:
        raise InputError(f"{path} is torn: it has {size} bytes, but its header tells of {promised}; {RESTORE}.")


def write_identity(folder: Path, base: str | None = None, merged_from: str | None = None) -> str:
    """Write identity.json, the sha256 over names and contents of the files that make a checkpoint, and their marks;
    return the sha256.

    base: for an adapter, the sha256 of the weights that it was trained on: part of its identity, and written beside it.
    merged_from: for full weights, the sha256 of the adapter that was merged into them, written beside it.
    Files are read in blocks, so the weights need not fit in memory. Raises InputError for a folder without weights.
    """
    files = _files(folder)
    if not any(path.suffix == ".safetensors" for path in files):
        raise InputError(f"{folder} holds no *.safetensors file; save the weights before their identity.")
    total = hashlib.sha256(b"" if base is None else f"{base}\n".encode())
    for path in files:
        total.update(f"{path.name}\0{file_sha256(path)}\n".encode())
    beside = {"base": base, "merged_from": merged_from}
    content = {"sha256": total.hexdigest()} | {key: value for key, value in beside.items() if value is not None}
    content["marks"] = {path.name: _mark(path) for path in files}
    write_json(folder / IDENTITY_FILE, content)
    return total.hexdigest()


def read_identity(folder: Path) -> str:
    """The sha256 in the folder's identity.json. Raises InputError if the file is missing or is not one."""
    return _read(folder, "sha256")


def checkpoint_identity(folder: Path) -> dict[str, str]:
    """What a record says of the checkpoint in a folder: `checkpoint`, its sha256, and of merged weights `merged_from`,
    that of the adapter. Raises InputError as `read_identity` does."""
    content = _content(folder, "sha256")
    merged = {"merged_from": content["merged_from"]} if "merged_from" in content else {}
    return {"checkpoint": content["sha256"]} | merged


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds an adapter, which needs the weights it was trained on."""
    return (Path(folder) / "adapter_config.json").exists()


def full_weights(checkpoint: Path, base: Path | None) -> Path:
    """The folder with a checkpoint's full weights: its own, or for an adapter `base`, those it was trained on.

    Raises InputError for an adapter without them or with other ones, for a base that no adapter needs, and for weights
    that are torn.
    """
    if is_adapter(checkpoint):
        if base is None:
            raise InputError(f"{checkpoint} is an adapter; give the weights it was trained on (--base-weights).")
        require_base(checkpoint, base)
        return base
    if base is not None:
        raise InputError(f"{checkpoint} holds weights of its own, no adapter; leave --base-weights out.")
    require_whole(checkpoint)
    return checkpoint


def require_base(adapter: Path, weights: Path) -> None:
    """Raise InputError unless `weights` are those that the adapter was trained on, by their identity, and both are
    whole."""
    for folder in (adapter, weights):
        require_whole(folder)
    wanted, found = _read(adapter, "base"), read_identity(weights)
    if wanted != found:
        raise InputError(
            f"{adapter} was trained on the weights {wanted[:12]}, but {weights} holds {found[:12]}; give the weights "
            "it was trained on, or merge it into them (scripts/merge_adapter.py) and use the merged weights."
        )


def _read(folder: Path, key: str) -> str:
    return _content(folder, key)[key]


def _content(folder: Path, key: str) -> dict:
    path = Path(folder) / IDENTITY_FILE
    if not path.exists():
        raise InputError(
            f"{path} is missing: the rule that makes a checkpoint writes it last; make the checkpoint again."
        )
    content = read_object(path)
    if key not in content:
        raise InputError(f'{path} is not of the form {{"{key}": …}}; make the checkpoint again.')
    return content
