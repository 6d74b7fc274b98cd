"""One test per pair and check, from a list of pairs."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import pytest

from pytest_kerasequiv import arguments
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.plugin.pair_checks import ARGUMENTS, PairCheck, pair_check

if TYPE_CHECKING:
    from pytest_kerasequiv.building.twins import Twins
    from pytest_kerasequiv.training.plan import Training

Test = TypeVar("Test", bound=Callable[..., Any])


def parametrize_with_checks(
    pairs: Iterable[Twins | tuple[Twins, Training]],
    *,
    checks: Iterable[str] | Literal["all"] | None = None,
    accept: Iterable[str] = (),
    expected_failures: Mapping[str, str] | None = None,
) -> Callable[[Test], Test]:
    """Make one test per pair and check of a test function with the parameters ``twins`` and ``check``.

    The tests are named ``test_twins[forecaster-outputs]``: the pair's name, then the check's. The cheap
    checks of all pairs come first. A pair's models are built once per session and process. Tests of
    repeated training carry the marker ``kerasequiv`` and are skipped without ``--kerasequiv``. Where
    numeric checks of a pair run, a difference that ``summary``, ``graph`` or ``program`` finds is an
    expected failure: it informs, the numeric checks decide. Where none of them is selected, it fails.

    Args:
        pairs: `Twins`, or ``(Twins, Training)`` for repeated training too.
        checks: names of the checks, for all pairs, which run in full, or ``"all"``. By default all that can
            run, until the answer is known: what a proof of the pair implies passes at once, and what a
            difference leaves open is skipped.
        accept: patterns of differences that are meant, as `compare` takes them.
        expected_failures: reason by test id, ``{"forecaster-graph": "the layers were merged"}``: these tests
            are marked xfail.

    Raises:
        InputError: no pair, something else than a pair, two pairs of one name, an unknown check or test id.

    Examples:
        ::

            @parametrize_with_checks([Twins(sequential, functional, name="forecaster")])
            def test_twins(twins, check):
                check(twins)
    """
    if not isinstance(pairs, Iterable):
        raise InputError(f"pairs={pairs!r} is no list; pass a list of Twins, for example [Twins(old, new)]")
    listed = [_pair(pair) for pair in pairs]
    _check_names([twins.name for twins, _ in listed])
    given = {"full": checks is not None, "accept": arguments.accept(accept)}
    cases = [case for pair in listed for case in _cases(*pair, checks, given)]
    cases.sort(key=lambda case: case[1].plan is not None)
    _check_expected(expected_failures or {}, [repr(check) for _, check in cases])
    parameters = [_parameter(*case, expected_failures or {}) for case in cases]
    parametrized = pytest.mark.parametrize(ARGUMENTS, parameters)
    return lambda test: pytest.mark.usefixtures("keras_twins")(parametrized(test))


def _pair(pair: Any) -> tuple[Twins, Training | None]:
    from pytest_kerasequiv.building.twins import Twins
    from pytest_kerasequiv.training.plan import Training

    twins, training = pair if isinstance(pair, tuple) and len(pair) == 2 else (pair, None)
    if not isinstance(twins, Twins) or not isinstance(training, Training | None):
        raise InputError(
            f"pairs holds {reprlib.repr(pair)}; each must be Twins(...) or, to train too, "
            "(Twins(...), Training(...))"
        )
    return twins, training


def _check_names(names: list[str]) -> None:
    if not names:
        raise InputError("pairs=[] names nothing to compare; pass a list of Twins")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"pairs holds two pairs named {twice[0]!r}; give each Twins its own name=")


def _cases(
    twins: Twins, training: Training | None, checks: Iterable[str] | None, given: Mapping[str, Any]
) -> list[tuple[Twins, PairCheck]]:
    from pytest_kerasequiv.checks.ladder import asked_checks

    plan = (lambda: training) if training is not None else None
    return [(twins, pair_check(twins.name, name, plan, **given)) for name in asked_checks(checks, training)]


def _check_expected(expected: Mapping[str, str], ids: list[str]) -> None:
    unknown = [name for name in expected if name not in ids]
    if unknown:
        choices = ", ".join(ids)
        raise InputError(f"expected_failures names {unknown[0]!r}, which is no test; choose from {choices}")


def _parameter(twins: Twins, check: PairCheck, expected: Mapping[str, str]) -> Any:
    marks: list[pytest.MarkDecorator] = []
    if check.plan is not None:
        marks.append(pytest.mark.kerasequiv)
    if repr(check) in expected:
        marks.append(pytest.mark.xfail(reason=expected[repr(check)]))
    return pytest.param(twins, check, id=repr(check), marks=marks)
