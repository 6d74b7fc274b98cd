"""The files of a commit beside a repository that stays as it was."""

import hashlib
import os
import signal
import subprocess
import sys
import time

import pytest
from tests.common.waiting import wait_for

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.revision.export import export
from pytest_kerasequiv.revision.repository import Repository
from pytest_kerasequiv.revision.temporary import TemporaryFolder


@pytest.fixture
def exported():
    """Exports a revision of a checkout; the folders go with the test."""
    folders = []

    def run(checkout, rev):
        repository = Repository.around(checkout.folder)
        folders.append(TemporaryFolder())
        return export(repository, repository.commit(rev), folders[-1])

    yield run
    for folder in folders:
        folder.close()
        assert not folder.path.exists()


def files_in(folder):
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def hook_everything(checkout, witness):
    """Every hook that git knows notes that it ran."""
    for name in ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc", "post-merge"):
        hook = checkout.folder / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\necho {name} >> {witness}\n")
        hook.chmod(0o755)


def test_old_files_are_written_and_the_repository_its_index_and_files_stay(checkout, exported, tmp_path):
    checkout.file("pkg/models.py", "old\n")
    checkout.file("run.sh", "#!/bin/sh\n")
    (checkout.folder / "run.sh").chmod(0o755)
    (checkout.folder / "link").symlink_to("pkg")
    old = checkout.commit()
    checkout.file("pkg/models.py", "new\n")
    checkout.commit()
    checkout.file("pkg/models.py", "newest\n")
    checkout.file("staged.py", "staged\n")
    checkout.git("add", "staged.py")
    checkout.file("untracked.py", "untracked\n")
    hook_everything(checkout, tmp_path / "witness")
    before = checkout.digest()
    tree = exported(checkout, old).tree
    assert (tree / "pkg/models.py").read_text() == "old\n"
    assert os.access(tree / "run.sh", os.X_OK)
    assert (tree / "link").is_symlink()
    assert sorted(p.name for p in tree.iterdir()) == ["link", "pkg", "run.sh"]
    assert checkout.digest() == before
    assert not (tmp_path / "witness").exists()


def test_line_ends_are_those_of_the_attributes_then(checkout, exported):
    checkout.file(".gitattributes", "*.txt text eol=crlf\n")
    checkout.file("a.txt", "1\n")
    old = checkout.commit()
    checkout.file(".gitattributes", "")
    checkout.commit()
    assert (exported(checkout, old).tree / "a.txt").read_bytes() == b"1\r\n"


def test_a_worktree_with_a_sparse_checkout_exports_everything(checkout, exported, tmp_path):
    checkout.file("a/1.txt", "1")
    checkout.file("b/1.txt", "1")
    checkout.commit()
    checkout.git("worktree", "add", "--quiet", str(tmp_path / "second"), "-b", "second")
    second = type(checkout)(tmp_path / "second")
    second.git("sparse-checkout", "set", "a")
    assert not (second.folder / "b").exists()
    assert files_in(exported(second, "main").tree) == {"a/1.txt": "1", "b/1.txt": "1"}


@pytest.fixture
def with_submodule(checkout, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    library = type(checkout)(inner)
    library.git("init", "--quiet")
    library.file("lib.py", "old\n")
    library.commit()
    checkout.git("submodule", "--quiet", "add", "--name", "the-lib", str(inner), "libs/inner")
    checkout.commit()
    return checkout, library


def test_submodules_come_from_this_clone(with_submodule, exported):
    checkout, library = with_submodule
    library.file("lib.py", "new\n")
    library.commit()
    checkout.git("-C", "libs/inner", "pull", "--quiet")
    checkout.commit()
    before = checkout.digest()
    assert (exported(checkout, "HEAD~1").tree / "libs/inner/lib.py").read_text() == "old\n"
    assert (exported(checkout, "HEAD").tree / "libs/inner/lib.py").read_text() == "new\n"
    assert checkout.digest() == before


def test_a_submodule_that_is_not_in_this_clone_is_refused_by_name(with_submodule, exported, tmp_path):
    checkout, _ = with_submodule
    checkout.git("clone", "--quiet", str(checkout.folder), str(tmp_path / "without"))
    with pytest.raises(InputError, match=r"submodule 'libs/inner': its commit \w{9} is not in this clone"):
        exported(type(checkout)(tmp_path / "without"), "HEAD")


def test_lfs_files_come_from_this_clone_or_are_told(checkout, exported):
    oids = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("here", "gone")}
    checkout.file(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    for name, oid in oids.items():
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 4\n"
        checkout.file(f"data/{name}.bin", pointer)
    checkout.commit()
    checkout.git("config", "filter.lfs.smudge", "false")
    checkout.git("config", "filter.lfs.required", "true")
    content = checkout.folder / ".git/lfs/objects" / oids["here"][:2] / oids["here"][2:4] / oids["here"]
    content.parent.mkdir(parents=True)
    content.write_text("here")
    found = exported(checkout, "HEAD")
    assert (found.tree / "data/here.bin").read_text() == "here"
    assert found.pointers == ("data/gone.bin",)


def test_a_session_killed_in_mid_export_leaves_nothing_and_changes_nothing(checkout, tmp_path, monkeypatch):
    for number in range(40):
        checkout.file(f"many/{number}.slow", "x\n")
    checkout.file(".gitattributes", "*.slow filter=slow\n")
    checkout.commit()
    checkout.git("config", "filter.slow.smudge", "sleep 0.2; cat")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    before = checkout.digest()
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(checkout.folder)])
    wait_for(lambda: list((tmp_path / "temporary").glob("*/tree/many/*")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not list((tmp_path / "temporary").iterdir()))
    time.sleep(0.5)  # what goes on writing would make it again
    assert not list((tmp_path / "temporary").iterdir())
    assert checkout.digest() == before


KILLED = """
import sys
from pathlib import Path
from pytest_kerasequiv.revision.export import export
from pytest_kerasequiv.revision.repository import Repository
from pytest_kerasequiv.revision.temporary import TemporaryFolder
repository = Repository.around(Path(sys.argv[1]))
export(repository, repository.commit("HEAD"), TemporaryFolder())
"""


def test_the_package_of_the_export_needs_no_keras():
    code = f"{KILLED.split('repository =', maxsplit=1)[0]}print({{'keras', 'tensorflow'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
