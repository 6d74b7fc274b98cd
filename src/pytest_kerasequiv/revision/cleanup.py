"""A process that removes a folder when its session is over, however that ended; a script of its own.

It is told on its standard input which processes to end then, one process group a line.
"""

import os
import select
import shutil
import signal
import sys
import time

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_REMOVE = 20


def main(folder: str) -> None:
    """Wait until standard input is closed or the parent is gone; end the groups, remove the folder."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups = _told_until_the_end(os.getppid())
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:  # it has ended
            continue
    end = time.monotonic() + SECONDS_TO_REMOVE
    while os.path.lexists(folder) and time.monotonic() < end:  # what was killed may still be writing
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)


def _told_until_the_end(session: int) -> list[int]:
    told = b""
    while os.getppid() == session:
        if not select.select([0], [], [], SECONDS_BETWEEN_LOOKS)[0]:
            continue
        more = os.read(0, 4096)
        if not more:
            break
        told += more
    return [int(line) for line in told.split()]


if __name__ == "__main__":
    main(sys.argv[1])
