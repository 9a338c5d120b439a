"""Where fetched repositories of the Hugging Face hub lie: in a folder laid out as the hub's own cache."""

from pathlib import Path

from isheep.files.records import InputError

MODEL_FILES = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "merges.txt", "tokenizer.model")
"""What is taken of a model's repository or folder: weights in safetensors, configuration and tokenizer; no code."""

FETCHED = "results/fetched"
"""Where everything that is fetched lies."""
HUB_CACHE = f"{FETCHED}/hub"
"""Where of it the hub's repositories lie."""
HOW_TO_FETCH = "run `snakemake prefetch --cores 2`, with the same --configfile, on a machine with a network"
"""What an error about something that has not been fetched says to do."""


def folder_name(repository: str, kind: str) -> str:
    """Return the name of a repository's folder, such as `datasets--allenai--ai2_arc`. kind: dataset or model."""
    return f"{kind}s--{repository.replace('/', '--')}"


def fetched_commit(folder: Path) -> str | None:
    """Return the commit that a repository's folder holds; None where it has not been fetched."""
    main = folder / "refs" / "main"
    return main.read_text(encoding="utf-8") if main.is_file() else None


def file_in(folder: Path, name: str) -> Path:
    """Return a file of a repository's folder. Raises InputError if it does not hold that."""
    file = folder / "snapshots" / (fetched_commit(folder) or "") / name
    if not file.is_file():
        raise InputError(f"{folder}: it has no {name}; remove the folder and run `snakemake prefetch` again.")
    return file


def snapshot_of(cache: str | Path, repository: str, kind: str = "dataset") -> Path:
    """Return the folder with the files of a repository that has been fetched into a cache.

    Raises InputError with the repository's name if it has not.
    """
    folder = Path(cache) / folder_name(repository, kind)
    commit = fetched_commit(folder)
    snapshot = folder / "snapshots" / commit if commit else None
    if snapshot is None or not snapshot.is_dir():
        raise InputError(f"the {kind} {repository} has not been fetched into {cache}; {HOW_TO_FETCH}.")
    return snapshot
