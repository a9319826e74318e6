"""luab_trainer/run.py with FSDP on CPU, where accelerate quietly trains with DDP whatever the file says."""

import sys

from accelerate.state import PartialState
from accelerate.utils import DistributedType

from luab_trainer.run import main

_init = PartialState.__init__


def _init_as_gpus(self, *args, **kwargs):
    _init(self, *args, **kwargs)
    if self.distributed_type is DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU


PartialState.__init__ = _init_as_gpus
main(sys.argv[1:])
