"""What the programs that let a model write share: their flags, and the way from requests to a published file."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from isheep.engine.devices import claim_devices
from isheep.engine.earlier_texts import EarlierTexts
from isheep.engine.engine import Completion, Engine, EngineSettings, Request
from isheep.engine.journal import Journal, completed
from isheep.engine.opening import open_engine
from isheep.files.records import unfinished_folder, write_jsonl


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which engine writes, from which seed, and how it uses the machine."""
    add_scoring_arguments(parser)
    parser.add_argument("--seed", type=int, required=True, help="seed of this job; every request derives its own")


def add_scoring_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which engine scores, and how it uses the machine; scoring draws nothing from a seed."""
    parser.add_argument("--engine", required=True, help="settings of the engine, JSON")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--batch-size", type=int, default=128, help="prompts answered, or texts scored, at once")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs to claim for the model; 0: on the CPU")


class CheckpointFolders(argparse.Action):
    """Takes a checkpoint's folder and, of an adapter, the folder with the weights that it was trained on."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: list, *_) -> None:
        if len(values) > 2:
            parser.error(f"{self.option_strings[0]}: found {len(values)} folders, at most a checkpoint and its base")
        setattr(namespace, self.dest, values[0])
        namespace.base_weights = values[1] if len(values) == 2 else None


def add_checkpoint_argument(parser: argparse.ArgumentParser, flag: str, help: str) -> None:
    """Add the flag with the folder of a checkpoint's weights; of an adapter, followed by those it was trained on."""
    parser.add_argument(
        flag, type=Path, nargs="+", required=True, action=CheckpointFolders, metavar="FOLDER", help=help
    )


def add_sampling_argument(parser: argparse.ArgumentParser) -> None:
    """Add the flag with the sampling settings."""
    parser.add_argument("--sampling", required=True, help="settings of the sampling, JSON")


def add_prompting_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say how the checkpoint is spoken to."""
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--raw", dest="chat", action="store_false", help="the prompt is continued as it is")
    form.add_argument("--chat", dest="chat", action="store_true", help="by the checkpoint's chat template")
    parser.add_argument("--system-prompt", help="system text of the chat; without it there is no system turn")


def open_requested_engine(
    arguments: argparse.Namespace, checkpoint: Path, max_tokens_key: str = Engine.max_tokens_key
) -> Engine:
    """Open the engine that the flags ask for, on GPUs that no other program of this machine has claimed.

    max_tokens_key: where the most tokens of a completion are configured, for errors.
    """
    settings = EngineSettings.model_validate_json(arguments.engine)
    claim_devices(arguments.gpus)
    engine = open_engine(
        checkpoint,
        settings,
        batch_size=arguments.batch_size,
        threads=arguments.threads,
        tensor_parallel=max(1, arguments.gpus),
        base=arguments.base_weights,
    )
    engine.max_tokens_key = max_tokens_key
    return engine


def complete_and_publish(
    requests: Sequence[Request],
    engine: Engine,
    output: Path,
    to_row: Callable[[Request, Completion], dict],
    check: Callable[[Completion], None] | None = None,
    end: Callable[[], str] | None = None,
    earlier: EarlierTexts | None = None,
) -> None:
    """Complete all requests through the journal and publish one row each, in the order of the requests.

    check: called with each text as it is written; end: called before anything is published, and what it returns is
    said. What either raises ends the work, and keeps what was written for the next attempt. earlier: what the output
    was before, of which equal requests are taken over; rows then name their requests.
    """
    folder = unfinished_folder(output)

    def row(request: Request, done: Completion) -> dict:
        content = to_row(request, done)
        return earlier.named(content, earlier.key(engine.identity, request), done) if earlier else content

    with completed(engine, requests, folder, check, earlier) as completions:
        said = end() if end else f"{len(requests)} requests completed"
        write_jsonl(output, (row(request, done) for request, done in zip(requests, completions, strict=True)))
    Journal(folder).finish()
    print(f"{output}: {said}", file=sys.stderr)
    print(f"{output}: {said}")
