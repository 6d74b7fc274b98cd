"""A limit of time for the user's code: a builder, a data loader or a training that never returns."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType, TracebackType

SECONDS_BETWEEN_TRIES = 30.0
"""Code that catches everything is interrupted again after so long."""
_NOT_OWN = (sys.prefix, sys.base_prefix, str(Path(__file__).parent), "<")
"""How the names of files begin that are no code of the user's."""


class TimeUp(BaseException):
    """The limit is reached. It is no `Exception`, which the user's code might catch and go on."""


class TimeLimit:
    """A sum of seconds that the blocks ``with limit:`` of one thread after another may take.

    The block is interrupted in Python code, where it waits too; a call into C that does not come back,
    such as one long operation of TensorFlow, is interrupted at its end.

    Args:
        seconds: they; ``None`` sets no limit.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = seconds
        self.spent = 0.0
        self.reached: TimeUp | None = None
        self.place = ""
        self.running = False

    def __enter__(self) -> None:
        self._begun = time.monotonic()
        self._alarm: _Alarm | None = None
        if self.reached is not None:
            raise self.reached
        if self.seconds is not None:
            self._alarm = _Alarm(max(self.seconds - self.spent, 0.0))
        self.running = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.running = False
        if self._alarm is not None:
            self._alarm.stop()
        self.spent += time.monotonic() - self._begun
        if isinstance(error, TimeUp):
            self.reached = error
            self.place = self.place or _place(trace)


def _place(trace: TracebackType | None) -> str:
    """Return the line that was interrupted: the last one of code that is not installed, if there is one."""
    frames = [frame for frame in traceback.extract_tb(trace) if frame.filename != __file__]
    own = [frame for frame in frames if not frame.filename.startswith(_NOT_OWN)]
    at = [*frames, *own][-1:]
    return "".join(f"{frame.name} ({frame.filename}, line {frame.lineno})" for frame in at)


class _Alarm:
    """Raises an exception in the thread that made it, after some seconds and then now and again."""

    def __init__(self, seconds: float) -> None:
        self._thread = threading.get_ident()
        self._stopped = threading.Event()
        self._raising = threading.Lock()
        self._due = False
        self._by_signal = threading.current_thread() is threading.main_thread()
        if self._by_signal:
            self._handler_before = signal.signal(signal.SIGALRM, self._handle)
        threading.Thread(target=self._watch, args=(seconds,), name="kerasequiv-timeout", daemon=True).start()

    def stop(self) -> None:
        """Raise nothing any more."""
        with self._raising:  # no signal comes that the handler from before would get
            self._stopped.set()
        if self._by_signal:
            signal.signal(signal.SIGALRM, self._handler_before)
        elif self._due:
            self._take()

    def _watch(self, seconds: float) -> None:
        while not self._stopped.wait(seconds):
            with self._raising:
                if not self._stopped.is_set():
                    self._raise()
            seconds = SECONDS_BETWEEN_TRIES

    def _raise(self) -> None:
        self._due = True
        if self._by_signal:  # wakes up a thread that waits, as for a lock or a process
            signal.pthread_kill(self._thread, signal.SIGALRM)
        else:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), ctypes.py_object(TimeUp))

    def _take(self) -> None:
        """Take an error that has not come yet.

        To take it back would leave Python 3.11 looking for it for ever: a thread that coverage or a
        debugger watches then never returns.
        """
        try:
            self._raise()
            for _ in range(1000):  # it comes at the first turn
                pass
        except TimeUp:
            pass

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Raise the error where the time is up; another's alarm, as of pytest-timeout, is that other's."""
        if self._due and not self._stopped.is_set():
            self._due = False
            raise TimeUp
        if callable(self._handler_before):
            self._handler_before(number, frame)
