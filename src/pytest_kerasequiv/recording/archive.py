"""The file of a recording: one zip of JSON and plain arrays, written alike everywhere, read with suspicion.

Members: ``recording.json`` (format, what it was made under, a digest of every other member), and for each
part ``<part>.json`` and, where it has arrays, one ``<part>.<dtype>.npy`` of each dtype that holds them end to
end; ``numpy.load`` reads the file as an ``npz``. Nothing is ever unpacked to disk, unpickled or imported.

A file is read only if it is of this very form and within these limits, checked before anything is unpacked:
`LARGEST_FILE` on disk, `LARGEST_TEXT` of JSON and `LARGEST_ARRAYS` of arrays. What the JSON becomes in memory
is at most about 40 times its size, so that reading takes less than 1 GB at worst.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import shlex
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.plain_data import Arrays

FORMAT = 1
"""Version of the form; what is recorded otherwise, or read otherwise, needs another."""

LARGEST_FILE = 64_000_000
LARGEST_TEXT = 16_000_000
LARGEST_ARRAYS = 128_000_000
MOST_MEMBERS = 256

HEAD = "recording.json"

_NAME = re.compile(r"[a-z_]{1,40}(\.[a-z0-9]{1,16})?\.(json|npy)")
_END = struct.Struct("<4s4H2LH")
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([<|][fiubc]\d{1,2})', 'fortran_order': False, "
    rb"'shape': \((\d{1,12}),\), \} *\n",
    re.DOTALL,
)


class _Unfit(Exception):  # noqa: N818 - an answer, not a fault
    """A file is no recording that can be read; the message says why, for the end of a sentence."""


@dataclass(frozen=True)
class Part:
    """JSON-able data, and the arrays that it names, as `plain_data.to_data` returns them."""

    data: Any
    arrays: Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Archive:
    """The content of a file.

    Attributes:
        made: what it was made under; no part of the content that decides whether a file is written anew.
        parts: name -> part.
    """

    made: Mapping[str, Any]
    parts: Mapping[str, Part]


def packed(archive: Archive) -> bytes:
    """Return the bytes of a file: the same for the same content, whatever the machine and the time."""
    members = {
        name: content for part, held in archive.parts.items() for name, content in _members(part, held)
    }
    head = {
        "format": FORMAT,
        "made": archive.made,
        "digests": {name: _digest(content) for name, content in members.items()},
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, content in {HEAD: _json(head), **members}.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system = 0
            info.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(info, content, compresslevel=9)
    return buffer.getvalue()


def write(path: Path, archive: Archive) -> None:
    """Write a file in one step, so that no reader ever sees half of it; its folder is made.

    Raises:
        InputError: it is larger than what is read, or cannot be written.
    """
    content = packed(archive)
    if len(content) > LARGEST_FILE:
        raise InputError(
            f"the recording {str(path)!r} would have {len(content):,} bytes, more than the {LARGEST_FILE:,} "
            "that are read; record a smaller model, or one with shorter inputs"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise InputError(f"the recording {str(path)!r} cannot be written: {error}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(0o666 & ~_umask())  # a file for the repository, not the secret that mkstemp makes
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"the recording {str(path)!r} cannot be written: {error}") from None
        raise


def _umask() -> int:
    """Return which permissions the user's files do not get; it can be asked for by setting it only."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def read(path: Path) -> Archive:
    """Read a file.

    Raises:
        InputError: there is none, or it is no recording that this version can read; the message says why.
    """
    try:
        if not path.is_file():
            raise InputError(_missing(path))
        if path.stat().st_size > LARGEST_FILE:
            raise _Unfit(f"it has more than {LARGEST_FILE:,} bytes")
        return unpacked(path.read_bytes())
    except OSError as error:
        why = str(error)
    except _Unfit as unfit:
        why = str(unfit)
    raise InputError(
        f"the recording {str(path)!r} cannot be read: {why}; fetch it anew from where it is kept, or record "
        "it again"
    )


def _missing(path: Path) -> str:
    """Return the message for a file that is not there, with what makes it."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]  # as pytest tells every test
    asked = " --kerasequiv" if test.startswith("pyproject.toml") or "/pyproject.toml" in test else ""
    command = f"pytest {shlex.quote(test)}{asked} --kerasequiv-record" if test else "record(builder, path)"
    return f"there is no recording {str(path)!r}; make it with: {command}"


def unpacked(content: bytes) -> Archive:
    """Read the bytes of a file.

    Raises:
        _Unfit: they are no recording that this version can read.
    """
    members = _unzipped(content)
    head = _parsed(members.pop(HEAD, b"null"))
    if not isinstance(head, dict) or set(head) != {"format", "made", "digests"}:
        raise _Unfit("it does not begin as a recording does")
    if head["format"] != FORMAT:
        raise _Unfit(f"it has format {head['format']!r}, and this version reads format {FORMAT}")
    if head["digests"] != {name: _digest(member) for name, member in members.items()}:
        raise _Unfit("its content is not what its digests say, so it was damaged or changed")
    if not isinstance(head["made"], dict):
        raise _Unfit("it does not say what it was made under")
    texts = {name.removesuffix(".json"): text for name, text in members.items() if name.endswith(".json")}
    flat = {
        name.removesuffix(".npy"): _flat(array) for name, array in members.items() if name.endswith(".npy")
    }
    return Archive(head["made"], {name: _part(name, _parsed(text), flat) for name, text in texts.items()})


def _members(part: str, held: Part) -> Iterator[tuple[str, bytes]]:
    """Yield the members of a part; arrays of one dtype lie end to end."""
    flat: dict[str, list[NDArray[Any]]] = {}
    places: dict[str, tuple[str, int, list[int]]] = {}
    for name, array in held.arrays.items():
        rows = flat.setdefault(array.dtype.name, [])
        places[name] = array.dtype.name, sum(row.size for row in rows), list(array.shape)
        rows.append(np.ravel(array))
    yield f"{part}.json", _json({"data": held.data, "arrays": places})
    for dtype, rows in sorted(flat.items()):
        buffer = io.BytesIO()
        joined = np.concatenate(rows)
        np.lib.format.write_array(
            buffer, joined.astype(joined.dtype.newbyteorder("<")), (1, 0), allow_pickle=False
        )
        yield f"{part}.{dtype}.npy", buffer.getvalue()


def _unzipped(content: bytes) -> dict[str, bytes]:
    """Return the members of a zip of the form that `packed` writes, once they are known to be small."""
    _check_end(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            _check_members(file.infolist())
            return {info.filename: _bytes(file, info) for info in file.infolist()}
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        ValueError,
        RuntimeError,
        NotImplementedError,
        OverflowError,
    ) as error:
        raise _Unfit(f"it is damaged: {error}") from None


def _bytes(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Unpack one member, as far as its size goes: told no size, zipfile would unpack it as far as it goes."""
    with file.open(info) as member:
        return member.read(info.file_size)


def _check_end(content: bytes) -> None:
    """Refuse what is no zip without a comment, or has a long list of members, before that list is read."""
    end = content[-_END.size :]
    if len(end) < _END.size or not content.startswith(b"PK\x03\x04"):
        raise _Unfit("it is no zip file, or was cut off")
    signature, disk, first, here, members, size, offset, comment = _END.unpack(end)
    if signature != b"PK\x05\x06" or comment:
        raise _Unfit("it was cut off, or something was added to it")
    if disk or first or here != members or offset + size + _END.size != len(content):
        raise _Unfit("the list of its members is damaged")
    if members > MOST_MEMBERS or size > MOST_MEMBERS * 200:
        raise _Unfit(f"it has more than {MOST_MEMBERS} members")


def _check_members(found: list[zipfile.ZipInfo]) -> None:
    names = [info.filename for info in found]
    odd = next((name for name in names if _NAME.fullmatch(name) is None), None)
    if odd is not None:
        raise _Unfit(f"it has a member {odd!r:.80}, which no recording has")
    if len(set(names)) < len(names):
        raise _Unfit("it has two members of one name")
    if any(info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} for info in found):
        raise _Unfit("it is compressed in a way that no recording is")
    for suffix, most in ((".json", LARGEST_TEXT), (".npy", LARGEST_ARRAYS)):
        size = sum(info.file_size for info in found if info.filename.endswith(suffix))
        if size > most:
            raise _Unfit(f"its {suffix} members unpack to {size:,} bytes, more than the {most:,} allowed")


def _flat(content: bytes) -> NDArray[Any]:
    """Read a flat array whose header is of one form only, and fits the bytes that follow."""
    header = _NPY.match(content[:256])
    if header is None or header.end() != 10 + int.from_bytes(header[1], "little"):
        raise _Unfit("it holds an array of a kind that no recording has")
    try:
        dtype = np.dtype(header[2].decode())
    except TypeError:
        raise _Unfit(f"it holds an array of the unknown dtype {header[2].decode()!r}") from None
    if int(header[3]) * dtype.itemsize != len(content) - header.end():
        raise _Unfit("it holds an array of another size than its header says")
    return np.frombuffer(content, dtype, offset=header.end())


def _part(name: str, told: Any, flat: Mapping[str, NDArray[Any]]) -> Part:
    if not isinstance(told, dict) or set(told) != {"data", "arrays"} or not isinstance(told["arrays"], dict):
        raise _Unfit(f"its part {name!r} is of another form")
    return Part(told["data"], {key: _array(name, place, flat) for key, place in told["arrays"].items()})


def _array(part: str, place: Any, flat: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    try:
        dtype, start, shape = place
        whole = flat[f"{part}.{dtype}"]
        fits = all(type(number) is int and number >= 0 for number in (start, *shape)) and len(shape) <= 32
        size = math.prod(shape) if fits else 0
        if fits and start + size <= whole.size:
            return whole[start : start + size].reshape(shape)
    except (ValueError, TypeError, KeyError):
        pass
    raise _Unfit(f"its part {part!r} names an array that is not there")


def _json(data: Any) -> bytes:
    return json.dumps(data, allow_nan=False, separators=(",", ":")).encode()


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Unfit(f"its JSON cannot be read: {type(error).__name__}: {error!s:.80}") from None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
