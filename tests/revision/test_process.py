"""A process with the code of a revision: it imports nothing else, and says what goes wrong there."""

import functools
import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.revision.named import Named, named
from pytest_kerasequiv.revision.process import NoSuchBuilderError, RevisionProcess
from pytest_kerasequiv.revision.repository import Repository
from pytest_kerasequiv.training.plan import Training

MODELS = """
import importlib
import importlib.util
import os
import sys

UNITS = {units}

def build(units=0):
    import keras
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(units or UNITS)])

def loud():
    print("heard before it broke")
    raise RuntimeError("broken then")

def dying():
    os._exit(7)

def reading():
    open(os.environ["PROJECT"] + "/settings.txt").close()
    return build()

def astray():
    spec = importlib.util.spec_from_file_location("astray", os.environ["PROJECT"] + "/src/oldpkg/late.py")
    sys.modules["astray"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["astray"])
    return build()

def fit(model, seed):
    sys.path.insert(0, os.environ["PROJECT"] + "/src")
    from oldpkg.late import LATE
    units, file = model.output_shape[-1], open("settings.txt").read()
    return {{"units": float(units), "late": float(LATE), "file": float(file)}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory, request):
    """A package as it was committed, and as it lies now."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("project")
        (folder / "src/oldpkg").mkdir(parents=True)
        (folder / "src/oldpkg/__init__.py").write_text("")
        for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
            patch.setenv(f"{name}_NAME", "A")
            patch.setenv(f"{name}_EMAIL", "a@b.c")
        write(folder, 3)
        (folder / "src/oldpkg/needy.py").write_text("import nowhere\ndef build():\n    pass\n")
        for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "1"]):
            subprocess.run(["git", *command], cwd=folder, check=True)
        write(folder, 5)
        (folder / "src/oldpkg/needy.py").write_text("def build():\n    pass\n")
        (folder / "src/oldpkg/fresh.py").write_text("def build():\n    pass\n")
        with (folder / "src/oldpkg/models.py").open("a") as file:
            file.write("\ndef fresh():\n    pass\n")
        patch.syspath_prepend(str(folder / "src"))
        patch.setenv("PROJECT", str(folder))
        yield folder
        for name in [name for name in sys.modules if name.partition(".")[0] == "oldpkg"]:
            del sys.modules[name]


def write(folder, number):
    (folder / "src/oldpkg/models.py").write_text(MODELS.format(units=number))
    (folder / "src/oldpkg/late.py").write_text(f"LATE = {number}\n")
    (folder / "settings.txt").write_text(str(number))


@pytest.fixture(scope="module")
def process(project):
    for name in ("late", "models"):  # as the session has imported the new code
        importlib.import_module(f"oldpkg.{name}")
    repository = Repository.around(project)
    made = RevisionProcess(repository, repository.commit("HEAD"))
    yield made
    made.close()
    assert not list(Path(made._folder.path.parent).glob(made._folder.path.name))


def ask(process, project, builder, **more):
    fit = importlib.import_module("oldpkg.models").fit
    question = {
        "builder": (builder if isinstance(builder, Named) else named(builder)).relative_to(project),
        "what": "train",
        "arm": str(builder),
        "options": {},
        "plan": Training(fit=fit, seeds=2),
        "seeds": [0],
        "cache": None,
    }
    return list(process.ask(question | more))


def test_models_and_training_are_the_old_code_late_imports_and_relative_files_too(process, project):
    first, reason, end = ask(process, project, "oldpkg.models:build")
    assert first["run"]["metrics"] == {"units": 3.0, "late": 3.0, "file": 3.0}
    assert "own fit" in reason["reason"]
    assert end["end"] == "done"
    assert "settings.txt" not in map(os.path.basename, end["needs"]["files"])


def test_arguments_go_along(process, project):
    build = importlib.import_module("oldpkg.models").build
    first, *_ = ask(process, project, functools.partial(build, units=7))
    assert first["run"]["metrics"]["units"] == 7.0


@pytest.mark.parametrize("name", ["oldpkg.models:fresh", "oldpkg.fresh:build"])
def test_a_builder_that_did_not_exist_is_told_apart(process, project, name):
    with pytest.raises(NoSuchBuilderError, match=rf"{name} does not exist at revision HEAD \(\w{{9}}\)"):
        ask(process, project, name)


def test_a_module_that_could_not_be_imported_then_is_not_taken_for_a_new_one(process, project):
    with pytest.raises(InputError, match=r"at revision HEAD .*No module named 'nowhere'") as caught:
        ask(process, project, "oldpkg.needy:build")
    assert not isinstance(caught.value, NoSuchBuilderError)


def test_a_module_that_lies_where_no_path_leads_is_not_taken_for_a_new_one(process, project):
    (project / "src/models.py").write_text("")
    with pytest.raises(InputError, match="no module 'models' at this revision") as caught:
        ask(process, project, Named("models:build", str(project / "src/models.py")))
    assert not isinstance(caught.value, NoSuchBuilderError)


def test_what_the_old_code_printed_is_told(process, project):
    with pytest.raises(
        InputError, match=r"(?s)RuntimeError: broken then.*It printed:.*heard before it broke"
    ):
        ask(process, project, "oldpkg.models:loud")


def test_files_of_the_working_tree_that_were_read_are_told(process, project):
    *_, end = ask(process, project, "oldpkg.models:reading")
    assert str(project / "settings.txt") in end["needs"]["files"]


def test_what_has_no_name_cannot_be_asked_for(process, project):
    with pytest.raises(
        InputError, match=r"cannot be found in another revision by its name; make it a function"
    ):
        named(lambda: None)
    with pytest.raises(InputError, match="options cannot be handed to the code of another revision"):
        ask(process, project, "oldpkg.models:build", options={"compile": {"loss": lambda a, b: a - b}})
    with pytest.raises(InputError, match="which is not in the repository"):
        ask(process, project, os.path.join)


def test_new_code_that_gets_in_all_the_same_ends_everything(process, project):
    with pytest.raises(
        InputError, match=r"code that is not the revision's was imported .*astray \(.*late.py\)"
    ):
        ask(process, project, "oldpkg.models:astray")
    with pytest.raises(InputError, match="so nothing is compared"):
        ask(process, project, "oldpkg.models:build")


def test_a_process_that_dies_says_so_and_stays_dead(project):
    repository = Repository.around(project)
    made = RevisionProcess(repository, repository.commit("HEAD"))
    for _ in range(2):
        with pytest.raises(InputError, match="its process ended with status 7"):
            ask(made, project, "oldpkg.models:dying")
    made.close()


def test_modules_that_no_path_leads_to_and_conftests_are_the_old_ones(checkout):
    checkout.file("tests/conftest.py", "import builtins\nbuiltins.OLD_CONFTEST = True\n")
    checkout.file(
        "tests/test_hidden.py",
        "import builtins\n\ndef build():\n    import keras\n    return keras."
        "Sequential([keras.Input((2,)), keras.layers.Dense(3)])\n\ndef fit(model, seed):\n    return "
        "{'units': float(model.output_shape[-1]), 'old': float(builtins.OLD_CONFTEST)}\n",
    )
    checkout.commit()
    checkout.file("tests/conftest.py", "")
    text = (checkout.folder / "tests/test_hidden.py").read_text()
    checkout.file("tests/test_hidden.py", text.replace("Dense(3)", "Dense(5)"))
    for name in ("conftest", "test_hidden"):
        spec = importlib.util.spec_from_file_location(name, checkout.folder / f"tests/{name}.py")
        sys.modules[f"{name}"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    repository = Repository.around(checkout.folder)
    made = RevisionProcess(repository, repository.commit("HEAD"))
    module = sys.modules["test_hidden"]
    question = {
        "builder": named(module.build).relative_to(checkout.folder),
        "what": "train",
        "arm": "",
        "options": {},
        "plan": Training(fit=module.fit, seeds=2),
        "seeds": [0],
        "cache": None,
    }
    first, *_ = made.ask(question)
    made.close()
    del sys.modules["test_hidden"], sys.modules["conftest"]
    assert first["run"]["metrics"] == {"units": 3.0, "old": 1.0}
