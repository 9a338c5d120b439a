"""Files of vectors: one npz archive a shard, with the ids of the texts and the vector of each."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from isheep.files.records import InputError, publish


def write_vectors(path: str | Path, ids: Sequence[str], vectors: np.ndarray) -> None:
    """Publish `ids` (n,) and `vectors` (n, hidden), which are written as float32; equal content gives equal bytes."""
    with publish(path) as partial, open(partial, "wb") as file:
        np.savez(file, ids=np.array(ids, dtype=np.str_), vectors=vectors.astype(np.float32))


def read_vectors(paths: Sequence[str | Path], hidden: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids (n,) and the vectors (n, hidden), float32, of all files, in their order.

    hidden: the numbers that a vector must have, by default as many as those of the first file. Raises InputError,
    naming the file, if one is no such archive, if its vectors have another length or a number that is not finite, and
    if there is no vector at all.
    """
    parts = []
    for path in paths:
        ids, vectors = _read_file(path)
        hidden = hidden or vectors.shape[1]
        if vectors.shape[1] != hidden:
            raise InputError(
                f"{path}: its vectors have {vectors.shape[1]} numbers, but those before them have {hidden}; all must "
                "come from the same model."
            )
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            raise InputError(
                f"{path}: the vector of {str(ids[~finite][0])!r} has a number that is not finite; make it again."
            )
        parts.append((ids, vectors))
    ids, vectors = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if not len(ids):
        raise InputError(f"{paths[0]}: found no vector in {len(paths)} file(s), but there must be at least one.")
    return ids, vectors


def _read_file(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    wrong = InputError(f"{path}: it is no whole archive of `ids` (n) and `vectors` (n, hidden); make it again.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            ids, vectors = archive["ids"], archive["vectors"]
    except (zipfile.BadZipFile, EOFError, KeyError, ValueError, AttributeError, TypeError):
        raise wrong from None
    if ids.dtype.kind != "U" or vectors.ndim != 2 or ids.shape != vectors.shape[:1]:
        raise wrong
    return ids, vectors
