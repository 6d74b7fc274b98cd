"""Who counts comparisons gets those of its threads too, and no others."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from pytest_kerasequiv.counting import counted_comparisons, counting


def make(name):
    counting().comparisons.append(name)


def test_in_threads_pools_and_coroutines():
    async def of_asyncio():
        await asyncio.to_thread(make, "to_thread")

    with counted_comparisons() as counted:
        make("here")
        thread = threading.Thread(target=make, args=("thread",))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(make, "pool").result()
        asyncio.run(of_asyncio())
    make("later")
    assert counted == ["here", "thread", "pool", "to_thread"]


def test_the_inner_one_takes_it():
    with counted_comparisons() as outer:
        with counted_comparisons(everything=True, timeout=3) as inner:
            make("inner")
            told = counting()
        make("outer")
    assert (outer, inner) == (["outer"], ["inner"])
    assert (told.everything, told.timeout) == (True, 3)


def test_a_thread_that_outlives_who_asked_counts_for_the_next():
    """It has the context of the first, whose results are gone."""
    begin, done = threading.Event(), threading.Event()

    async def of_asyncio():
        task = asyncio.to_thread(lambda: (begin.wait(10) and make("late")) or done.set())
        return asyncio.ensure_future(task)

    with counted_comparisons() as first:
        loop = asyncio.new_event_loop()
        future = loop.run_until_complete(of_asyncio())
    with counted_comparisons() as second:
        begin.set()
        assert done.wait(10)
    loop.run_until_complete(future)
    loop.close()
    assert (first, second) == ([], ["late"])
