"""Claim GPUs, and become `accelerate launch` of the training program in the layout that is asked for.

Everything after `--` are the flags of scripts/train.py.
"""

import argparse
import os
import sys
from pathlib import Path

from isheep import cli
from isheep.engine.devices import claim_devices

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: argparse.Namespace) -> None:
    """Start one process a GPU; the devices stay claimed, since it is this process that becomes the launcher."""
    claim_devices(arguments.gpus)
    if not arguments.gpus:
        os.environ["ACCELERATE_USE_CPU"] = "true"
    command = [
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *("--config_file", str(ROOT / "config" / "accelerate" / f"{arguments.layout}.yaml")),
        *("--num_processes", str(arguments.gpus or arguments.processes), "--main_process_port", "0"),
        *("--num_cpu_threads_per_process", str(arguments.threads)),
        *(str(ROOT / "scripts" / "train.py"), "--threads", str(arguments.threads), *arguments.training),
    ]
    os.execv(sys.executable, command)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--layout", choices=["single", "ddp", "fsdp"], default="single", help="how the model is spread")
parser.add_argument("--gpus", type=int, default=0, help="GPUs to claim, one process each; 0: on the CPU")
parser.add_argument("--processes", type=int, default=1, help="processes where there are no GPUs")
parser.add_argument("--threads", type=int, default=1, help="CPU threads of each process")
parser.add_argument("training", nargs="*", metavar="-- FLAGS", help="flags of the training program")

if __name__ == "__main__":
    cli.run(main, parser)
