"""What is written is on the disk, and not in the system's memory alone: a power cut takes the latter.

A file system may keep a rename and lose what the renamed file holds, which then has its name and no content.
"""

import errno
import os
from pathlib import Path


def sync(path: str | Path) -> None:
    """Bring a file, or a folder with all that is in it, to the disk. What a link points to is left alone."""
    for parent, folders, files in os.walk(path):
        for name in (*files, *folders):
            sync_entry(os.path.join(parent, name))
    sync_entry(path)


def sync_entry(path: str | Path) -> None:
    """Bring one file, or the names that one folder holds, to the disk. Nothing for a link."""
    if os.path.islink(path):
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot do it for folders
            raise
    finally:
        os.close(opened)
