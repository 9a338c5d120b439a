"""scripts/train.py with its model sharded on the CPU, for tests on machines without GPUs.

Accelerate shards only where it believes that there are several GPUs, though PyTorch can do it on the CPU as well.
"""

import sys
from pathlib import Path

from accelerate import PartialState
from accelerate.utils import DistributedType

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

begin = PartialState.__init__


def begin_as_on_gpus(self, *arguments, **options) -> None:
    begin(self, *arguments, **options)
    if self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU


if __name__ == "__main__":
    PartialState.__init__ = begin_as_on_gpus
    import train
    from isheep import cli

    cli.run(train.main, train.parser)
