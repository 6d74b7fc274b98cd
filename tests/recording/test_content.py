"""What a recording holds goes through its file, and whatever else stands there is refused or harmless."""

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.recording.conftest import made

from pytest_kerasequiv import InputError
from pytest_kerasequiv.recording.archive import Archive, Part, packed, read
from pytest_kerasequiv.recording.content import Content, from_archive, to_archive

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
    max_leaves=5,
)
TAGS = ["tuple", "dict", "array", "dataclass", "enum", "texts", "float", "set", "frozenset"]


@pytest.fixture(scope="session")
def archive(recording):
    return read(recording)


def test_what_is_recorded_comes_back(archive, recording):
    content = from_archive(archive, recording)
    assert packed(to_archive(content)) == recording.read_bytes()
    assert content.structure.label == made.__name__
    assert set(content.answers) == {
        "summary",
        "graph",
        "program",
        "weights",
        "outputs",
        "gradients",
        "updates",
    }
    assert content.structure.missing == {
        "training": "no runs were recorded, as no training= was given when it was"
    }


def test_no_weight_is_in_the_file(archive):
    kernels = [held for held in from_archive(archive, "x").structure.variables if held.name == "kernel"]
    assert len(kernels) == 2
    assert [held.whole for held in kernels] == [None, None]


def places(data, path=()):
    """Where something stands in JSON-able data."""
    yield path
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def changed(data, path, value):
    """The same data with another value at a place."""
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = changed(data[path[0]], path[1:], value)
    return copy


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_content_is_refused_or_read(archive, data):
    """With digests that fit: nothing but `InputError` comes of it, and nothing of another kind is made."""
    name = data.draw(st.sampled_from(sorted(archive.parts)))
    part = archive.parts[name]
    for _ in range(data.draw(st.integers(1, 3))):
        where = list(places(part.data))
        path = where[data.draw(st.integers(0, len(where) - 1))]
        value = data.draw(JSON | st.tuples(st.sampled_from(TAGS), JSON).map(lambda pair: {pair[0]: pair[1]}))
        part = replace(part, data=changed(part.data, path, value))
    json.dumps(part.data)
    try:
        found = from_archive(Archive(archive.made, {**archive.parts, name: part}), "x.kerasequiv")
    except InputError as error:
        assert "record it again" in str(error)  # noqa: PT017 - either is right
    else:
        assert isinstance(found, Content)


@pytest.mark.parametrize("name", ["structure", "graph", "operations", "program", "outputs", "layers"])
def test_a_missing_or_emptied_part_is_refused_or_left_out(archive, name):
    emptied = Archive(archive.made, {**archive.parts, name: Part(None)})
    with pytest.raises(InputError, match="record it again"):
        from_archive(emptied, "x.kerasequiv")


def test_parts_of_no_check_are_refused(archive):
    more = Archive(archive.made, {**archive.parts, "more": Part(None)})
    with pytest.raises(InputError, match="content is of another form"):
        from_archive(more, "x.kerasequiv")
