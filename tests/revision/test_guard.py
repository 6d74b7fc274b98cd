"""Which modules are not the old code's: also those that pip compiled of the new code into site-packages."""

from __future__ import annotations

import json
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType

import pytest

from pytest_kerasequiv.revision.guard import Place, Strangers, compiled_from


def installed(site: Path, project: Path, module: str) -> Path:
    """Write what pip leaves of an editable install whose extension module lies beside the metadata."""
    found = site / f"{module}{EXTENSION_SUFFIXES[0]}"
    found.parent.mkdir(parents=True)
    found.write_bytes(b"")
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "direct_url.json").write_text(
        json.dumps({"url": project.as_uri(), "dir_info": {"editable": True}})
    )
    (info / "RECORD").write_text(f"{found.name},,\n{module}-1.0.dist-info/METADATA,,\n")
    return found


@pytest.mark.parametrize("own", [True, False])
def test_a_compiled_module_of_the_working_tree_is_strange_wherever_it_lies(
    own: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "project with space"
    file = installed(tmp_path / "site", tree if own else tmp_path / "another", "fast_layers")
    monkeypatch.syspath_prepend(tmp_path / "site")
    module = ModuleType("fast_layers")
    module.__file__ = str(file)
    monkeypatch.setitem(sys.modules, "fast_layers", module)
    place = Place(str(tree), str(tmp_path / "export"), [], {}, [])
    assert compiled_from(str(tree)) == ({str(file.resolve())} if own else set())
    assert Strangers(place).found() == ([f"fast_layers ({file})"] if own else [])
