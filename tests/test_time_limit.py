"""Code that never returns is ended, in any thread, and nothing else is."""

import contextlib
import signal
import sys
import threading
import time

import pytest

from pytest_kerasequiv.time_limit import TimeLimit, TimeUp


def stubborn():
    while True:
        with contextlib.suppress(Exception):
            time.sleep(100)


def in_a_thread(run):
    """Run a function in another thread and return what it returned or raised."""
    came = []

    def target():
        try:
            came.append(run())
        except BaseException as error:
            came.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join(60)
    return came[0]


def limited(seconds, run):
    limit = TimeLimit(seconds)
    begun = time.monotonic()
    with pytest.raises(TimeUp), limit:
        run()
    assert time.monotonic() - begun < 30
    return limit


def test_code_that_waits_is_interrupted_and_its_line_named():
    limit = limited(0.2, stubborn)
    assert limit.place.startswith("stubborn (")
    assert __file__ in limit.place


def busy():
    while True:
        time.sleep(0.01)


def test_so_is_code_in_another_thread():
    assert in_a_thread(lambda: limited(0.2, busy)).place.startswith("busy (")


def test_what_watches_a_thread_goes_on_watching():
    """As coverage and debuggers do."""
    lines = []

    def watched():
        limited(0.2, busy)
        sys.settrace(lambda *told: lines.append(told[1]))
        counted()
        sys.settrace(None)

    def counted():
        return sum(range(3))

    thread = threading.Thread(target=watched, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert lines == ["call"]


def test_code_that_catches_everything_is_interrupted_again(monkeypatch):
    monkeypatch.setattr("pytest_kerasequiv.time_limit.SECONDS_BETWEEN_TRIES", 0.2)

    def deaf():
        with contextlib.suppress(BaseException):
            time.sleep(100)
        time.sleep(100)

    assert limited(0.2, deaf).place.startswith("deaf (")


def test_the_limit_is_of_all_blocks_together():
    limit = TimeLimit(1.0)
    with limit:
        time.sleep(0.7)
    begun = time.monotonic()
    with pytest.raises(TimeUp), limit:
        time.sleep(100)
    assert time.monotonic() - begun < 0.7
    reached = []
    with pytest.raises(TimeUp), limit:
        reached.append("a block after the end")
    assert not reached


def test_what_ends_in_time_is_left_alone():
    limit = TimeLimit(0.1)
    with limit:
        pass
    in_a_thread(lambda: limit.__enter__() or limit.__exit__(None, None, None))
    with TimeLimit():
        pass
    time.sleep(0.3)
    assert limit.reached is None
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    assert not [thread for thread in threading.enumerate() if thread.name == "kerasequiv-timeout"]


def test_the_alarm_of_another_is_that_others():
    heard = []
    before = signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
    try:
        with TimeLimit(100):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            time.sleep(0.3)
        assert heard == [1]
        assert signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGALRM, before)
