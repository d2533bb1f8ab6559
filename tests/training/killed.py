"""An experiment that kills itself, as `kill -9` would, once a few of its jobs are done."""

import os
import signal
import sys
from pathlib import Path

from tests.training.test_experiment_resumed import OPTIONS, made
from training.experiment import compare


def _tell(_tier: str, done: int, _total: int) -> None:
    if done == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    compare(made(), OPTIONS, Path(sys.argv[1]), _tell)
