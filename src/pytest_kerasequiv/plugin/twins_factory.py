"""The factory behind `keras_twins`: makes pairs to assert on and notes what each test looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.plugin.ledger import Entry
from pytest_kerasequiv.plugin.progress import progress_of
from pytest_kerasequiv.plugin.records import ENTRIES
from pytest_kerasequiv.plugin.settings import cache_folder
from pytest_kerasequiv.plugin.then_and_now import ThenAndNow, revision_of, then_and_now

if TYPE_CHECKING:
    from pytest_kerasequiv.building.twins import Twins
    from pytest_kerasequiv.comparison import Comparison
    from pytest_kerasequiv.plugin.settings import Settings
    from pytest_kerasequiv.plugin.twins_under_test import TwinsUnderTest

SHARED = pytest.StashKey[dict[str, "Comparison"]]()
"""Pairs whose checks are tests of their own, the last used last: their models are built once, and kept."""

KEPT = 8
"""Most such pairs whose models are kept at a time; those of others are built again where they are needed."""

RUNS = pytest.StashKey[Any]()
"""Finished runs of repeated training."""


class TwinsFactory:
    """Makes the pairs of one test: the type of the fixture `keras_twins`."""

    def __init__(self, request: pytest.FixtureRequest, settings: Settings) -> None:
        self._request = request
        self._settings = settings

    def __repr__(self) -> str:
        return "<a factory of twins>"

    def __call__(self, reference: Any, candidate: Any = None, **options: Any) -> TwinsUnderTest:
        """Return a pair of twins to assert on; see the fixture."""
        __tracebackhide__ = True
        from pytest_kerasequiv.building.twins import Twins

        how = {
            name: options.pop(name)
            for name in ("inputs", "rtol", "atol", "accept", "seed", "timeout")
            if name in options
        }
        count = len(self._entries)
        node = self._request.node
        revision, was = revision_of(self._request.config), options.pop("was", None)
        if (
            revision is not None
            and candidate is None
            and _is_builder(reference)
            and not {"recording", "backend"} & options.keys()
        ):
            options.setdefault("name", f"{node.name} #{count + 1}" if count else node.name)
            both = then_and_now(revision, reference, options, was)
            return self._under_test(f"{node.nodeid} #{count}", self._comparison(both, **how))
        if "recording" in options:
            reference, candidate = _recorded(node, reference, candidate, options.pop("recording"))
        if not isinstance(reference, Twins):
            options.setdefault("name", f"{node.name} #{count + 1}" if count else node.name)
            reference = Twins(reference, candidate, **options)
        elif candidate is not None or options:
            raise _twins_given_already(candidate, options)
        return self._under_test(f"{node.nodeid} #{count}", self._comparison(reference, **how))

    def shared(self, key: str, twins: Twins | ThenAndNow, **how: Any) -> TwinsUnderTest:
        """Return a pair that several tests look at; its models and what was found out about them are kept.

        Other twins under the same key, as a test makes them that does not pass on its own, are compared anew.
        """
        shared = self._request.session.stash.setdefault(SHARED, {})
        known = shared.pop(key, None)
        made = twins.twins if isinstance(twins, ThenAndNow) else twins
        if known is None or known.twins is not made:
            known = self._comparison(twins, **how)
        shared[key] = known
        while len(shared) > KEPT:
            shared.pop(next(iter(shared))).twins.release()
        return self._under_test(key, known)

    @property
    def _entries(self) -> list[Entry]:
        entries: list[Entry] = self._request.node.stash.setdefault(ENTRIES, [])
        return entries

    def _comparison(self, twins: Twins | ThenAndNow, **how: Any) -> Comparison:
        __tracebackhide__ = True
        from pytest_kerasequiv.comparison import Comparison

        defaults = {name: getattr(self._settings, name) for name in ("rtol", "atol", "timeout")}
        try:
            if isinstance(twins, ThenAndNow):
                return twins.comparison(self._request.node, **(defaults | how))
            return Comparison(twins, **(defaults | how))
        except InputError as error:
            raise error.with_traceback(None) from error.__cause__  # bad input, without the plugin's frames

    def _under_test(self, key: str, comparison: Comparison) -> TwinsUnderTest:
        from pytest_kerasequiv.plugin.twins_under_test import SessionServices, TwinsUnderTest

        entry = Entry(key, comparison)
        self._entries.append(entry)
        surroundings = SessionServices(
            settings=self._settings,
            executor=lambda: self._request.getfixturevalue("kerasequiv_executor"),
            progress=lambda name: progress_of(self._request.config, name),
            cache=self._run_cache,
        )
        return TwinsUnderTest(entry, surroundings)

    def _run_cache(self) -> Any:
        """Return what keeps finished runs: for the session, and in pytest's cache folder for the next one."""
        if not self._settings.cache:
            return None
        stash = self._request.session.stash
        if RUNS not in stash:
            from pytest_kerasequiv.training.cache import RunCache

            stash[RUNS] = RunCache(cache_folder(self._request.config))
        return stash[RUNS]


def _is_builder(given: Any) -> bool:
    """Tell whether a side can be looked for at another revision: no live model, no pair of twins."""
    from pytest_kerasequiv.building.makers import is_model
    from pytest_kerasequiv.building.twins import Twins

    return not is_model(given) and not isinstance(given, Twins)


def _recorded(node: Any, build: Any, candidate: Any, recording: Any) -> tuple[Path, Any]:
    """Return the recording as the reference, and what is compared with it as the candidate.

    Raises:
        InputError: another candidate is given as well, or the recording has no name.
    """
    from pytest_kerasequiv.errors import InputError
    from pytest_kerasequiv.plugin.recordings import recording_beside

    if candidate is not None:
        raise InputError(
            f"recording={recording!r} is the reference, so only one model is given; leave candidate away"
        )
    return recording_beside(node.path, recording), build


def _twins_given_already(candidate: Any, options: dict[str, Any]) -> Exception:
    extra = ", ".join([*(["candidate"] if candidate is not None else []), *options])
    return InputError(
        f"reference is a Twins already, so {extra} cannot be given as well; pass them to Twins(...)"
    )
