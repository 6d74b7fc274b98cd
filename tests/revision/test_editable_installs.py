"""Projects installed in editable mode: the process of a revision imports the code of then all the same."""

import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

SETUPTOOLS = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
INSTALLS = {
    "setuptools, a path": ("src/edited", SETUPTOOLS + '[tool.setuptools.packages.find]\nwhere = ["src"]\n'),
    "setuptools, a finder": (
        "code/of_it",
        SETUPTOOLS + '[tool.setuptools]\npackages = ["edited"]\npackage-dir = {edited = "code/of_it"}\n',
    ),
    "hatchling": (
        "src/edited",
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n',
    ),
    "scikit-build-core": (
        "src/edited",
        '[build-system]\nrequires = ["scikit-build-core"]\nbuild-backend = "scikit_build_core.build"\n'
        "[tool.scikit-build]\nwheel.cmake = false\n",
    ),
}

SESSION = """
import sys
from pathlib import Path
from pytest_kerasequiv.revision.named import named
from pytest_kerasequiv.revision.process import RevisionProcess
from pytest_kerasequiv.revision.repository import Repository
from pytest_kerasequiv.training.plan import Training
from edited import late, models
assert (models.UNITS, late.LATE) == (5, 5)
repository = Repository.around(Path(sys.argv[1]))
process = RevisionProcess(repository, repository.commit("HEAD"))
builder = named(models.build).relative_to(repository.top)
plan = Training(fit=models.fit, seeds=2)
question = {"what": "train", "builder": builder, "arm": "", "options": {}, "cache": None}
question |= {"plan": plan, "seeds": [0]}
print(next(process.ask(question))["run"]["metrics"])
process.close()
"""

MODELS = """
UNITS = {units}

def build():
    import keras
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(UNITS)])

def fit(model, seed):
    from edited.late import LATE
    return {{"units": float(model.output_shape[-1]), "late": float(LATE)}}
"""


def write(package, number):
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text(MODELS.format(units=number))
    (package / "late.py").write_text(f"LATE = {number}\n")


def install(folder, project):
    """Install the project, editable, in an environment that has what this one has; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    inner = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    # Added as a folder of packages, so that what is installed there as editable is found too.
    outer = sysconfig.get_path("purelib")
    (inner / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n")
    command = [
        "pip",
        "--python",
        str(python),
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-e",
        ".",
    ]
    subprocess.run([sys.executable, "-m", *command], cwd=project, check=True)
    return python


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "place"), [*((how, "beside") for how in INSTALLS), ("scikit-build-core", "inside")]
)
def test_the_code_of_then_is_imported(checkout, tmp_path, how, place):
    package, declaration = INSTALLS[how]
    checkout.file("pyproject.toml", f'{declaration}\n[project]\nname = "edited"\nversion = "1"\n')
    checkout.file(".gitignore", "env/\n*.egg-info/\n__pycache__/\n")
    write(checkout.folder / package, 3)
    checkout.commit()
    write(checkout.folder / package, 5)
    python = install((checkout.folder if place == "inside" else tmp_path) / "env", checkout.folder)
    command = [str(python), "-c", textwrap.dedent(SESSION), str(checkout.folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout.strip() == "{'units': 3.0, 'late': 3.0}", done.stderr[-3000:]
