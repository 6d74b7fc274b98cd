"""Asking git, and what is said where it has no answer."""

import pytest

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.revision.repository import Repository


@pytest.fixture
def branched(checkout):
    """Two commits on main; a branch from the first with one of its own is checked out."""
    checkout.file("a.txt", "1")
    base = checkout.commit()
    checkout.git("tag", "v1")
    checkout.file("a.txt", "2")
    tip = checkout.commit()
    checkout.git("checkout", "--quiet", "-b", "topic", base)
    checkout.file("b.txt", "1")
    checkout.commit()
    return checkout, base, tip


def clone(checkout, target, *how):
    checkout.git("clone", "--quiet", *how, f"file://{checkout.folder}", str(target))


def test_branches_tags_hashes_and_merge_bases_are_commits(branched):
    checkout, base, tip = branched
    (checkout.folder / "deep" / "er").mkdir(parents=True)
    repository = Repository.around(checkout.folder / "deep" / "er")
    assert repository.top == checkout.folder
    asked = {"main": tip, "v1": base, base: base, base[:8]: base, "main...": base, "main...topic": base}
    assert {rev: repository.commit(rev).hash for rev in asked} == asked
    assert repository.commit("main").tree == checkout.git("rev-parse", "main^{tree}")


def test_a_commit_is_told_by_its_name_and_hash(branched):
    checkout, base, _ = branched
    repository = Repository.around(checkout.folder)
    assert str(repository.commit("main...")) == f"main... ({base[:9]})"
    assert str(repository.commit(base[:12])) == base[:12]


@pytest.mark.parametrize("rev", ["", "  ", "--all", "-x"])
def test_what_is_no_revision_is_refused(branched, rev):
    with pytest.raises(InputError, match="is no git revision; give a branch, a tag or a hash"):
        Repository.around(branched[0].folder).commit(rev)


def test_an_unknown_revision_names_those_there_are(branched):
    with pytest.raises(InputError, match=r"'origin/main' is no commit .*choose from: main, topic, v1"):
        Repository.around(branched[0].folder).commit("origin/main")


def test_unrelated_histories_have_no_merge_base(branched):
    checkout, _, _ = branched
    checkout.git("checkout", "--quiet", "--orphan", "other")
    checkout.commit()
    with pytest.raises(InputError, match=r"'main\.\.\.': git finds no common ancestor of main and HEAD"):
        Repository.around(checkout.folder).commit("main...")


@pytest.mark.parametrize("rev", ["origin/main", "origin/topic...v0"])
def test_a_shallow_clone_is_told_to_fetch_deeper(branched, tmp_path, rev):
    checkout, _, _ = branched
    clone(checkout, tmp_path / "shallow", "--depth", "1", "-b", "topic")
    with pytest.raises(InputError, match="This clone is shallow; clone deeper: fetch-depth: 0"):
        Repository.around(tmp_path / "shallow").commit(rev)


def test_a_merge_base_beyond_a_shallow_clone_says_so_though_both_sides_are_known(branched, tmp_path):
    checkout, _, _ = branched
    clone(checkout, tmp_path / "s", "--depth", "1", "--no-single-branch", "-b", "topic")
    with pytest.raises(InputError, match=r"no common ancestor .*shallow; clone deeper: fetch-depth: 0"):
        Repository.around(tmp_path / "s").commit("origin/main...")


def test_no_git_no_repository_and_a_bare_one_are_told(branched, tmp_path, monkeypatch):
    checkout, _, _ = branched
    (tmp_path / "plain").mkdir()
    with pytest.raises(InputError, match=r"plain is in no git repository \(not a git repository"):
        Repository.around(tmp_path / "plain")
    clone(checkout, tmp_path / "bare", "--bare")
    with pytest.raises(InputError, match="bare is a git repository without a working tree"):
        Repository.around(tmp_path / "bare")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="there is no program 'git' on the PATH; install git"):
        Repository.around(checkout.folder)


def test_changes_that_are_not_committed_are_known_without_touching_the_index(branched):
    checkout, _, _ = branched
    repository = Repository.around(checkout.folder)
    (checkout.folder / "b.txt").touch()  # git status would refresh the index
    before = checkout.digest()
    assert not repository.has_changes
    checkout.file("new.txt", "1")
    assert repository.has_changes
    (checkout.folder / "new.txt").unlink()
    assert checkout.digest() == before


def test_what_a_hook_sets_does_not_lead_elsewhere(branched, tmp_path, monkeypatch):
    checkout, _, tip = branched
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert Repository.around(checkout.folder).commit("main").hash == tip
