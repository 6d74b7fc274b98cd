"""The file of a recording: the same bytes everywhere, and one clear error for whatever else lies there."""

import hashlib
import io
import json
import os
import resource
import stat
import subprocess
import sys
import textwrap
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_kerasequiv import InputError
from pytest_kerasequiv.recording import archive
from pytest_kerasequiv.recording.archive import Archive, Part, packed, read, write


def an_archive():
    """An archive with two parts, one of them with arrays of several dtypes and shapes."""
    arrays = {
        "a0": np.arange(6, dtype=np.float32).reshape(2, 3),
        "a1": np.float64(0.1).reshape(()),
        "a2": np.array([True, False]),
        "a3": np.zeros((0, 4), np.float32),
        "a4": np.array([[7]], np.uint32),
    }
    return Archive(
        {"versions": {"keras": "3"}},
        {"summary": Part([{"dict": []}, "ü", 1.5, None]), "outputs": Part({"array": "a0"}, arrays)},
    )


def as_bytes(members, **settings):
    """A zip of the given members, as `packed` would lay it out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **settings) as file:
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


def forged(parts, made=None, form=archive.FORMAT):
    """A file with the given members, whose digests fit them."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}
    head = {"format": form, "made": made or {}, "digests": digests}
    return as_bytes([(archive.HEAD, json.dumps(head)), *parts.items()])


def npy(descr, shape, content=b"", *, order=False):
    """A member that says it is an array of a dtype and shape, whatever its content is."""
    text = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    text += b" " * (-(11 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def part(data=None, arrays=None):
    """A member that describes a part."""
    return json.dumps({"data": data, "arrays": arrays or {}}).encode()


def same(one, other):
    """Whether two archives hold the same."""
    return (
        one.made == other.made
        and {name: held.data for name, held in one.parts.items()}
        == {name: held.data for name, held in other.parts.items()}
        and all(
            held.arrays.keys() == other.parts[name].arrays.keys()
            and all(
                array.dtype == other.parts[name].arrays[key].dtype
                and np.array_equal(array, other.parts[name].arrays[key])
                for key, array in held.arrays.items()
            )
            for name, held in one.parts.items()
        )
    )


def refused(tmp_path, content):
    """The message with which a file of these bytes is refused."""
    path = tmp_path / "x.kerasequiv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(path)
    message = str(caught.value)
    assert str(path) in message
    assert "record it again" in message
    assert "\n" not in message
    return message


def test_what_is_written_is_read(tmp_path):
    write(tmp_path / "new" / "x.kerasequiv", an_archive())
    assert same(read(tmp_path / "new" / "x.kerasequiv"), an_archive())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.kerasequiv"]


def test_files_follow_the_users_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "x.kerasequiv", an_archive())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.kerasequiv").stat().st_mode) == 0o640


def test_the_bytes_depend_on_the_content_alone():
    content = packed(an_archive())
    assert content == packed(an_archive())
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        for info in file.infolist():
            assert (info.date_time, info.create_system) == ((1980, 1, 1, 0, 0, 0), 0)


def test_numpy_reads_it_as_an_npz(tmp_path):
    write(tmp_path / "x.kerasequiv", an_archive())
    with np.load(tmp_path / "x.kerasequiv", allow_pickle=False) as arrays:
        assert arrays["outputs.float32"].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    for path in (tmp_path / "none.kerasequiv", tmp_path):
        with pytest.raises(InputError, match="there is no recording"):
            read(path)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "file" / "x.kerasequiv", an_archive())


def test_over_a_quota_the_earlier_file_stays(tmp_path):
    path = tmp_path / "x.kerasequiv"
    path.write_bytes(b"yesterday's")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(InputError, match=r"cannot be written: .*File too large"):
            write(path, an_archive())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {path.name: b"yesterday's"}


def test_a_file_that_was_cut_off_anywhere_is_refused(tmp_path):
    content = packed(an_archive())
    for length in [*range(0, len(content), 7), len(content) - 1]:
        refused(tmp_path, content[:length])


def test_something_added_is_refused(tmp_path):
    content = packed(an_archive())
    assert "added" in refused(tmp_path, content + b"more")
    refused(tmp_path, b"#!/bin/sh\n" + content)


@pytest.mark.parametrize(
    "name",
    [
        "../outputs.json",
        "/etc/x.json",
        "outputs/x.json",
        "x.py",
        "x.json\x00y",
        "C:x.json",
        "X.json",
        "__init__.py",
    ],
)
def test_members_of_other_names_are_refused(tmp_path, name):
    good = packed(an_archive())
    with zipfile.ZipFile(io.BytesIO(good)) as file:
        members = [(info.filename, file.read(info)) for info in file.infolist()]
    refused(tmp_path, as_bytes([*members, (name, b"{}")]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path):
    assert "two members of one name" in refused(tmp_path, as_bytes([("a.json", b"1"), ("a.json", b"2")]))


def test_other_compressions_are_refused(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_BZIP2) as file:
        file.writestr("a.json", b"1")
    assert "compressed" in refused(tmp_path, buffer.getvalue())


def test_too_many_members_are_refused_before_they_are_listed(tmp_path):
    many = as_bytes([(f"a{'b' * (n % 30)}.x{n % 1000}.json", b"") for n in range(300)])
    assert "more than 256 members" in refused(tmp_path, many)


def test_another_format_is_refused(tmp_path):
    assert "format 99" in refused(tmp_path, forged({}, form=99))


def test_a_changed_part_is_refused(tmp_path):
    head = {"format": archive.FORMAT, "made": {}, "digests": {"a.json": "0" * 64}}
    assert "digests" in refused(tmp_path, as_bytes([(archive.HEAD, json.dumps(head)), ("a.json", part())]))


def test_bombs_are_refused_before_they_are_unpacked(tmp_path):
    bomb = bytes(134_000_000)
    content = forged({"a.json": part(), "a.float32.npy": bomb})
    assert len(content) < 200_000
    assert "unpack to 134,000,000 bytes" in refused(tmp_path, content)
    assert "unpack to" in refused(tmp_path, forged({"a.json": b" " * 20_000_000}))


MEMORY = """
    import resource, sys
    from pathlib import Path
    from pytest_kerasequiv import InputError
    from pytest_kerasequiv.recording.archive import read
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        read(Path(sys.argv[1]))
    except InputError as error:
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1000)
"""


def megabytes(path):
    """Memory that a refusal takes in a process of its own."""
    code = [sys.executable, "-c", textwrap.dedent(MEMORY), str(path)]
    return int(subprocess.run(code, capture_output=True, text=True, check=True).stdout)


def test_a_member_that_lies_about_its_size_takes_no_memory(tmp_path):
    """The list of members says 10 bytes; the stream goes on for 300 MB."""
    content = bytearray(as_bytes([("a.json", bytes(300_000_000))]))
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.find(signature) + place
        content[at : at + 4] = (10).to_bytes(4, "little")
    (tmp_path / "x.kerasequiv").write_bytes(content)
    assert megabytes(tmp_path / "x.kerasequiv") < 60


def test_what_is_refused_for_its_json_stays_below_the_stated_limit(tmp_path):
    text = b"[" + b"[[]]," * 3_190_000 + b"1]"
    assert len(text) < archive.LARGEST_TEXT
    (tmp_path / "x.kerasequiv").write_bytes(forged({"a.json": text}))
    assert megabytes(tmp_path / "x.kerasequiv") < 1000


@pytest.mark.parametrize(
    "member",
    [
        npy("<f8", "(1099511627776,)"),  # 8 TiB
        npy("<f4", "(3,)", bytes(8)),
        npy("<f4", "(3,)", bytes(16)),
        npy("<f4", "(2, 2)", bytes(16)),
        npy("|O", "(2,)", b"\x80\x04K\x01.K\x02."),
        npy("<f4", "(4,)", bytes(16), order=True),
        npy("<U4", "(1,)", bytes(16)),
        npy("<f3", "(1,)", bytes(3)),
        npy("<f4", "(-1,)", bytes(4)),
        npy("<f4", "(1_0,)", bytes(40)),
        b"\x93NUMPY\x03\x00" + bytes(60),
        b"\x93NUMPY\x01\x00\xff\xff" + b"{" * 4000,
        b"",
    ],
)
def test_arrays_of_another_kind_are_refused(tmp_path, member):
    assert "array" in refused(tmp_path, forged({"a.json": part(), "a.float32.npy": member}))


@pytest.mark.parametrize(
    "place",
    [
        ["float32", 0, [4]],
        ["float32", 1, [3]],
        ["float32", -1, [1]],
        ["float32", 0, [-1, 3]],
        ["float32", 0, [True]],
        ["float32", 0, [2**70, 2**70]],
        ["float32", 0, [1] * 70],
        ["float64", 0, [1]],
        ["float32", 0, 3],
        ["float32", 0],
        "abc",
        [None, None, None],
        [["x"], 0, [1]],
    ],
)
def test_places_of_arrays_that_are_not_there_are_refused(tmp_path, place):
    content = forged({"a.json": part(0, {"a0": place}), "a.float32.npy": npy("<f4", "(3,)", bytes(12))})
    assert "not there" in refused(tmp_path, content)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b"{",
        b"\xff\xfe",
        b"1" * 5000,
        b'{"data": NaN, "arrays": 1}',
        b"[]",
        b"",
    ],
)
def test_json_of_another_kind_is_refused(tmp_path, text):
    refused(tmp_path, forged({"a.json": text}))


@pytest.mark.parametrize(
    "head",
    [
        b"null",
        b"[]",
        b"{}",
        b'{"format": 1, "made": 1, "digests": {}}',
        b'{"format": 1, "made": {}, "digests": 1}',
    ],
)
def test_heads_of_another_kind_are_refused(tmp_path, head):
    refused(tmp_path, as_bytes([(archive.HEAD, head)]))


def test_what_is_too_large_to_be_read_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST_FILE", 100)
    with pytest.raises(InputError, match="more than the 100 that are read"):
        write(tmp_path / "x.kerasequiv", an_archive())
    assert not list(tmp_path.iterdir())


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_with_changed_bytes_is_refused_or_the_same(tmp_path, data):
    content = bytearray(packed(an_archive()))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        change = data.draw(st.sampled_from(["flip", "set", "remove", "insert", "swap"]))
        if change == "flip":
            content[place] ^= 1 << data.draw(st.integers(0, 7))
        elif change == "set":
            content[place] = data.draw(st.integers(0, 255))
        elif change == "remove":
            del content[place : place + data.draw(st.integers(1, 40))]
        elif change == "insert":
            content[place:place] = data.draw(st.binary(min_size=1, max_size=20))
        else:
            other = data.draw(st.integers(0, len(content) - 1))
            content[place], content[other] = content[other], content[place]
        if not content:
            break
    path = tmp_path / "x.kerasequiv"
    path.write_bytes(bytes(content))
    try:
        found = read(path)
    except InputError:
        return
    assert same(found, an_archive())
