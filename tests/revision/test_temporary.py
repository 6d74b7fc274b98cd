"""Folders and processes that end with their session."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.common.waiting import wait_for

from pytest_kerasequiv.revision.temporary import TemporaryFolder


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


SESSION = """
import os, sys, tempfile
tempfile.tempdir = sys.argv[1]
from pytest_kerasequiv.revision.temporary import TemporaryFolder
folder = TemporaryFolder()
child = folder.start([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
exec(sys.argv[2])
"""


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os._exit(3)", "raise KeyboardInterrupt", "pass"])
def test_folder_and_processes_end_with_the_session(place, end):
    command = [sys.executable, "-c", SESSION, str(place), end]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    child = int(done.stdout)
    wait_for(lambda: not list(place.iterdir()))
    wait_for(lambda: not Path(f"/proc/{child}").exists())


def test_a_session_that_was_killed_with_everything_leaves_a_folder_that_the_next_one_removes(place):
    left, held = TemporaryFolder(), TemporaryFolder()
    for folder in (left, held):
        os.utime(folder.path, (0, 0))
    left._cleanup.kill()
    left._cleanup.wait()
    left._lock.close()
    TemporaryFolder().close()
    assert [path.name for path in place.iterdir()] == [held.path.name]
    held.close()
    assert not list(place.iterdir())
