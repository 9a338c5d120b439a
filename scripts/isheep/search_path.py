"""Where programs are found that this process, and what it starts, call by their names."""

import os


def put_first(folder: str) -> None:
    """Let programs in `folder` be found before others of the same names."""
    os.environ["PATH"] = os.pathsep.join([folder, os.environ.get("PATH", "")])
