"""A temporary folder, and processes, that vanish with their session, whatever ends it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PREFIX = "kerasequiv-against-"
LOCK = "lock"
STALE_SECONDS = 60
"""Age from which a folder without a holder is one that was left; a younger one may be about to be held."""


class TemporaryFolder:
    """A folder with a process that removes it, and ends what was started in it, when this process is gone.

    Attributes:
        path: the folder.
    """

    def __init__(self) -> None:
        remove_left_folders()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
        self._lock = (self.path / LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        script = Path(__file__).with_name("cleanup.py")
        self._cleanup = subprocess.Popen(
            [sys.executable, "-I", "-S", str(script), str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a process in a group of its own, which ends with the session."""
        process = subprocess.Popen(command, process_group=0, **options)
        assert self._cleanup.stdin is not None
        self._cleanup.stdin.write(f"{process.pid}\n".encode())
        self._cleanup.stdin.flush()
        return process

    def close(self) -> None:
        """End what was started, and remove the folder."""
        assert self._cleanup.stdin is not None
        with contextlib.suppress(OSError):
            self._cleanup.stdin.close()
        self._cleanup.wait()
        self._lock.close()


def remove_left_folders() -> None:
    """Remove folders of sessions that ended together with the process that would have removed them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            old = found.st_mtime < time.time() - STALE_SECONDS
            if old and found.st_uid == os.getuid() and not _is_held(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_held(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / LOCK, os.O_WRONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
