"""Cluster the pairs that an iteration chooses from by their vectors, for the filter by density (paper section 4.3).

K-means by Lloyd's algorithm on all vectors, from one k-means++ start, which is most of the work. 10,000 vectors of
1,024 numbers in 300 clusters take 6 s of one core, so those of 8,192 numbers in 3,000 clusters some 10 to 15 minutes:
short enough not to settle for mini-batches.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from isheep import cli
from isheep.data.pairs import first_of_each_source
from isheep.data.vectors import read_vectors
from isheep.files.ownership import Output
from isheep.files.reading import iterate_some
from isheep.files.records import InputError, write_jsonl


def main(arguments: argparse.Namespace) -> None:
    """Write the cluster of every pair that broke no rule."""
    pairs = (pair for path in arguments.pairs for pair in iterate_some(path))
    ids = [pair["id"] for pair in first_of_each_source(pairs, arguments.count) if pair["rejected_by"] is None]
    if arguments.clusters > len(ids):
        raise InputError(
            f"selection.clusters is {arguments.clusters}, but only {len(ids)} pairs broke no rule; lower it, or raise "
            "the recipe's number of instructions."
        )
    with threadpool_limits(arguments.threads):
        labels = cluster(vectors_of(ids, arguments.vectors), arguments.clusters, arguments.seed)
    write_jsonl(arguments.output, ({"id": id, "cluster": label} for id, label in zip(ids, labels, strict=True)))
    print(f"{arguments.output}: {len(ids)} pairs in {len(set(labels))} clusters")


def vectors_of(ids: list[str], paths: list[Path]) -> np.ndarray:
    """Return the vectors of these pairs, (ids, hidden). Raises InputError if one of them has none."""
    found, vectors = read_vectors(paths)
    rows = {id: row for row, id in enumerate(found.tolist())}
    lacking = [id for id in ids if id not in rows]
    if lacking:
        raise InputError(
            f"{len(lacking)} of {len(ids)} pairs have no vector in the {len(paths)} given files, the first is "
            f"{lacking[0]!r}; give the vectors of all shards of these pairs."
        )
    return vectors[[rows[id] for id in ids]]


def cluster(vectors: np.ndarray, clusters: int, seed: int) -> list[int]:
    """Return each vector's cluster, 0 … clusters - 1; some clusters stay empty if vectors repeat.

    In float64, in which the order of summation, which threads change, does not decide where a vector belongs.
    """
    kmeans = KMeans(clusters, init="k-means++", n_init=1, algorithm="lloyd", random_state=seed)
    return kmeans.fit_predict(vectors.astype(np.float64)).tolist()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--vectors", type=Path, nargs="+", required=True, help="npz files of vectors, shard by shard")
parser.add_argument("--pairs", type=Path, nargs="+", required=True, help="JSON Lines of pairs, shard by shard")
parser.add_argument("--count", type=int, required=True, help="pairs to choose from, per checkpoint that wrote them")
parser.add_argument("--clusters", type=int, required=True, help="number of clusters")
parser.add_argument("--seed", type=int, required=True, help="seed of the first centres")
parser.add_argument("--threads", type=int, default=1, help="CPU threads")
parser.add_argument("--output", type=Output, required=True, help="JSON Lines to write: id and cluster")

if __name__ == "__main__":
    cli.run(main, parser)
