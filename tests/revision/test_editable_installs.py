"""Projects installed in editable mode: the process of a revision imports the code of then all the same."""

import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest
from tests.revision.conftest import empty

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("git_settings")]

SETUPTOOLS = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
INSTALLS = {
    "by_path": ("src/by_path", SETUPTOOLS + '[tool.setuptools.packages.find]\nwhere = ["src"]\n'),
    "by_finder": (
        "code/of_it",
        SETUPTOOLS
        + '[tool.setuptools]\npackages = ["by_finder"]\npackage-dir = {by_finder = "code/of_it"}\n',
    ),
    "by_hatchling": (
        "src/by_hatchling",
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n',
    ),
    "by_scikit_build": (
        "src/by_scikit_build",
        '[build-system]\nrequires = ["scikit-build-core"]\nbuild-backend = "scikit_build_core.build"\n'
        "[tool.scikit-build]\nwheel.cmake = false\n",
    ),
}
"""By the name of the package: where it lies in its project, and what its pyproject.toml says."""

SESSION = """
import importlib
import sys
from pathlib import Path
from pytest_kerasequiv.revision.named import named
from pytest_kerasequiv.revision.process import RevisionProcess
from pytest_kerasequiv.revision.repository import Repository
from pytest_kerasequiv.training.plan import Training

for name, folder in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
    late, models = (importlib.import_module(f"{name}.{module}") for module in ("late", "models"))
    assert (models.UNITS, late.LATE) == (5, 5)
    repository = Repository.around(Path(folder))
    process = RevisionProcess(repository, repository.commit("HEAD"))
    builder = named(models.build).relative_to(repository.top)
    plan = Training(fit=models.fit, seeds=2)
    question = {"what": "train", "builder": builder, "arm": "", "options": {}, "cache": None}
    question |= {"plan": plan, "seeds": [0]}
    print(name, next(process.ask(question))["run"]["metrics"])
    process.close()
"""

MODELS = """
UNITS = {units}

def build():
    import keras
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(UNITS)])

def fit(model, seed):
    from {name}.late import LATE
    return {{"units": float(model.output_shape[-1]), "late": float(LATE)}}
"""


def write(package, name, number):
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text(MODELS.format(name=name, units=number))
    (package / "late.py").write_text(f"LATE = {number}\n")


def project(folder, name):
    """Make a repository with a project of this name, whose package has changed since its commit."""
    package, declaration = INSTALLS[name]
    checkout = empty(folder)
    checkout.file("pyproject.toml", f'{declaration}\n[project]\nname = "{name}"\nversion = "1"\n')
    checkout.file(".gitignore", "env/\n*.egg-info/\n__pycache__/\n")
    write(folder / package, name, 3)
    checkout.commit()
    write(folder / package, name, 5)
    return folder


def environment(folder):
    """Make an environment that has what this one has; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    inner = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    # Added as a folder of packages, so that what is installed there as editable is found too.
    outer = sysconfig.get_path("purelib")
    (inner / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n")
    return folder / "bin" / "python"


def install(python, *projects):
    """Install the projects, editable, in an environment."""
    editable = [option for folder in projects for option in ("-e", str(folder))]
    options = ["install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *options, *editable], check=True)


def trained(python, folder, **projects):
    """Return what a session says that the packages of then train to, by package."""
    named = [str(word) for pair in projects.items() for word in pair]
    command = [str(python), "-c", textwrap.dedent(SESSION), *named]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


THEN = "{'units': 3.0, 'late': 3.0}"


def test_the_code_of_then_is_imported(tmp_path):
    projects = {name: project(tmp_path / name, name) for name in INSTALLS}
    python = environment(tmp_path / "env")
    install(python, *projects.values())
    assert trained(python, tmp_path, **projects) == dict.fromkeys(INSTALLS, THEN)


def test_and_from_an_environment_inside_the_repository(tmp_path):
    name = "by_scikit_build"
    folder = project(tmp_path / name, name)
    python = environment(folder / "env")
    install(python, folder)
    assert trained(python, tmp_path, **{name: folder}) == {name: THEN}
