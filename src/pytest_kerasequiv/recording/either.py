"""What a comparison does with its pair: both live, a recorded reference, or models on another backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_kerasequiv.backends import answers as across_backends
from pytest_kerasequiv.backends import same_process
from pytest_kerasequiv.backends.backend_pair import BackendPair
from pytest_kerasequiv.backends.same_process import SameProcessPair
from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import function_outputs, witness
from pytest_kerasequiv.checks.function_outputs import FunctionPair
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.counting import RENEW
from pytest_kerasequiv.keras_access.supported import other_backend, require_tensorflow
from pytest_kerasequiv.recording import recorded_answers
from pytest_kerasequiv.recording.archive import read
from pytest_kerasequiv.recording.content import from_archive
from pytest_kerasequiv.recording.recorded_pair import RecordedPair
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.verdict import CheckResult, Kind


def pair_of(twins: Twins, training: Training | None = None, **settings: Any) -> Pair:
    """Return the pair to look at; a recording that is the reference is read, renewed where that is asked for.

    Args:
        twins: the pair.
        training: the plan of the runs to renew.
        settings: as `Pair` takes them.

    Raises:
        InputError: a setting cannot be used, or the recording cannot be read.
    """
    if twins.backend is not None:
        require_tensorflow(f"backend={twins.backend!r}")
        return BackendPair(twins, **settings)
    if twins.function is not None:
        require_tensorflow("a function of inputs as candidate")
        return FunctionPair(twins, **settings)
    if twins.recording is None:
        return Pair(twins, **settings) if other_backend() is None else SameProcessPair(twins, **settings)
    require_tensorflow("a recording as reference")
    renew = RENEW.get()
    if renew is not None:
        renew(twins, training=training, **settings)
    return RecordedPair(twins, from_archive(read(twins.recording), twins.recording), **settings)


def ready_for(check: Check, pair: Pair, options: Mapping[str, Any]) -> Pair:
    """Return the pair for a check: with runs of training recorded anew, where that is asked for."""
    renews = isinstance(pair, RecordedPair) and RENEW.get() is not None
    if not renews or check.kind is not Kind.STATISTICAL:
        return pair
    return pair_of(pair.twins, training=options["training"], **pair.settings)


def answer(check: Check, pair: Pair, options: Mapping[str, Any]) -> CheckResult:
    """Run a check on a pair.

    Raises:
        InputError: an option cannot be used.
    """
    if isinstance(pair, RecordedPair):
        return recorded_answers.answer(check, pair, options)
    if isinstance(pair, BackendPair):
        return across_backends.answer(check, pair, options)
    if isinstance(pair, FunctionPair):
        given = {name: value for name, value in options.items() if value is not None}
        return function_outputs.answer(check.name, pair, {**pair.settings, **given})
    if isinstance(pair, SameProcessPair):
        return same_process.answer(check, pair, options)
    return check(pair, **options)


def left_out(check: Check, pair: Pair) -> str:
    """Return why a check can tell nothing of a pair, so that it is not run; empty where it can."""
    if isinstance(pair, FunctionPair):
        return function_outputs.left_out(check.name)
    if isinstance(pair, SameProcessPair):
        return same_process.left_out(check)
    return across_backends.left_out(check, pair) if isinstance(pair, BackendPair) else ""


def provable(pair: Pair) -> bool:
    """Whether there are two programs, of which a proof could tell."""
    return not isinstance(pair, FunctionPair | SameProcessPair)


def follows(check: Check, pair: Pair) -> CheckResult | None:
    """Return the result that follows for a proved pair; ``None`` where the check has to run."""
    return recorded_answers.follows(check, pair) if isinstance(pair, RecordedPair) else check.follows(pair)


def proved_in_part(check: Check, pair: Pair) -> bool:
    """Whether a check rests on entries that are proved the same, and a batch does not contradict that."""
    live = not isinstance(pair, RecordedPair | BackendPair | FunctionPair | SameProcessPair)
    if not live or check.rests_on is None or pair.twins.weights != "copy":
        return False
    same = pair.same_in(check.rests_on)
    return same and not witness.contradiction(pair, training=check.rests_on("training"))


def contradiction(pair: Pair) -> str:
    """Return in a few words what contradicts a proof that both are one program; empty for nothing."""
    if isinstance(pair, RecordedPair):
        return recorded_answers.contradiction(pair)
    return witness.contradiction(pair)


def made_under(pair: Pair) -> dict[str, Any]:
    """Return under what a side was observed that is not live here, for reports; empty where both are."""
    if isinstance(pair, BackendPair):
        return {"backend": {"candidate": pair.backend, "versions": pair.versions}}
    return {"recorded": pair.content.made} if isinstance(pair, RecordedPair) else {}
