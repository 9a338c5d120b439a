"""Give every pair a vector: a checkpoint's last hidden layer on it (paper section 4.3).

Embeds what a checkpoint wrote (`--pairs`), or a sample of instruction data that others made (`--reference`).
"""

import argparse
from pathlib import Path

from isheep import cli
from isheep.data.embedding import EmbeddingSettings, embed_texts
from isheep.data.pairs import pair_text
from isheep.data.reference import sample_reference
from isheep.data.vectors import write_vectors
from isheep.engine.devices import claim_devices
from isheep.engine.flags import add_checkpoint_argument
from isheep.files.ownership import Output
from isheep.files.reading import read_some
from isheep.files.records import InputError


def main(arguments: argparse.Namespace) -> None:
    """Write the ids and the vectors of the pairs that broke no rule, or of the sample."""
    pairs = chosen_pairs(arguments)
    claim_devices(arguments.gpus)
    settings = EmbeddingSettings(pooling=arguments.pooling, max_length=arguments.max_length, dtype=arguments.dtype)
    vectors = embed_texts(
        arguments.checkpoint,
        [pair_text(pair, arguments.separator) for pair in pairs],
        settings,
        batch_size=arguments.batch_size,
        threads=arguments.threads,
        base=arguments.base_weights,
    )
    write_vectors(arguments.vectors, [pair["id"] for pair in pairs], vectors)
    print(f"{arguments.vectors}: {len(pairs)} vectors of {vectors.shape[1]} numbers")


def chosen_pairs(arguments: argparse.Namespace) -> list[dict]:
    """Return the rows to embed. Raises InputError if a reference comes without the flags to draw from it."""
    if arguments.pairs:
        return [pair for pair in read_some(arguments.pairs) if pair["rejected_by"] is None]
    if arguments.sample is None or arguments.seed is None:
        raise InputError("--reference needs --sample, the rows to draw from it, and --seed; add them.")
    return sample_reference(arguments.reference, arguments.sample, arguments.seed)


DEFAULTS = EmbeddingSettings()

parser = argparse.ArgumentParser(description=__doc__)
add_checkpoint_argument(parser, "--checkpoint", "folder with the weights that read the texts")
source = parser.add_mutually_exclusive_group(required=True)
source.add_argument("--pairs", type=Path, help="JSON Lines: id, instruction, input, response, rejected_by")
source.add_argument("--reference", type=Path, help="instruction data, JSON Lines or one JSON list")
parser.add_argument("--sample", type=int, help="rows to draw from the reference")
parser.add_argument("--seed", type=int, help="seed of that draw")
parser.add_argument("--separator", required=True, help="text between an instruction and its input")
parser.add_argument("--pooling", choices=("mean", "last"), default=DEFAULTS.pooling, help="one vector of a text's")
parser.add_argument("--max-length", type=int, default=DEFAULTS.max_length, help="tokens of a text that are read")
parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default=DEFAULTS.dtype)
parser.add_argument("--threads", type=int, default=1, help="CPU threads")
parser.add_argument("--gpus", type=int, default=0, help="GPUs to claim for the model; 0: on the CPU")
parser.add_argument("--batch-size", type=int, default=16, help="texts read at once")
parser.add_argument("--vectors", type=Output, required=True, help="npz file to write: ids and vectors")

if __name__ == "__main__":
    cli.run(main, parser)
