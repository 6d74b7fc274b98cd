"""What goes wrong beside the pair of a round: in its machine, its builders, its options."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BAD = """
def bad():
    {body}
    return build()


def test_bad(keras_twins):
    keras_twins(bad, other, timeout={timeout}).assert_equivalent()
"""


def nothing(*_: Path) -> None:
    pass


@dataclass(frozen=True)
class Trouble:
    """One thing that goes wrong.

    Attributes:
        label: what it is.
        test: a test that stands before that of the pair.
        status: the exit status that is right.
        reports: whether the report can be written.
        python: options of Python.
        options: options of pytest.
        prepare: what is done to the folder before.
        in_session: what is done in the process of the session before it begins.
        name_of_pair: name of the pair.
    """

    label: str
    test: str = ""
    status: int = 0
    reports: bool = True
    python: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    prepare: Callable[[Path], None] = nothing
    in_session: Callable[[], None] = nothing
    name_of_pair: str = "pair"


def builder(label: str, body: str, *, status: int = 0, timeout: str = "None") -> Trouble:
    return Trouble(label, BAD.format(body=body, timeout=timeout), status)


def small_files() -> None:
    """Let no file of the session grow beyond 30 kB, as a quota does: entries of the cache are shorter."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))


NONE = Trouble("no trouble")
TROUBLES = (
    builder("a builder changes the folder", "os.chdir('/')"),
    builder("a builder changes the environment", "os.environ.update(HOME='/x', TMPDIR='/x', PATH='')"),
    builder("a builder sets the seed", "keras.utils.set_random_seed(3); random.seed(4); np.random.seed(5)"),
    builder(
        "a builder turns switches",
        "import tensorflow as tf; tf.config.run_functions_eagerly(True); np.seterr(all='ignore'); "
        "keras.config.enable_unsafe_deserialization(); keras.config.set_epsilon(0.1)",
    ),
    builder("a builder exits", "sys.exit(3)", status=1),
    builder("a builder hangs", "time.sleep(10_000)", status=1, timeout="5"),
    builder(
        "a builder leaves a thread", "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    ),
    builder("a builder forks", "os.fork()"),
    Trouble("quota for the report", status=1, reports=False, in_session=small_files),
    Trouble(
        "a file where the report goes",
        status=1,
        reports=False,
        prepare=lambda folder: (folder / "out").write_text("taken") and None,
    ),
    Trouble("a file where the cache goes", prepare=lambda folder: (folder / ".pytest_cache").touch()),
    Trouble("python -O", python=("-O",)),
    Trouble("-p no:cacheprovider", options=("-p", "no:cacheprovider")),
    Trouble("a name that steers", name_of_pair="a\x1b[2J\u202e</script>|\n**EQUIVALENT**"),
)
