"""Each test that docs/promises.md names exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(?:([\w/]+\.py)(?:::(\w+))?|(test_\w+)|…(_\w+))`")


def named_tests():
    """Yield the file and the pattern of the name of each; one without a file is in that named before."""
    file = ""
    for found in NAMED.finditer((ROOT / "docs" / "promises.md").read_text(encoding="utf-8")):
        path, test, alone, ending = found.groups()
        file = path or file
        yield file, rf"test_\w+{ending}" if ending else test or alone or r"test_\w+"


def is_there(file, name):
    text = (ROOT / "tests" / file).read_text(encoding="utf-8")
    return re.search(rf"def {name}\(", text) is not None


def test_every_promise_names_a_test_that_is_there():
    named = list(named_tests())
    assert len(named) > 20
    assert [test for test in named if not is_there(*test)] == []
