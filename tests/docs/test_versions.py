"""docs/versions.md says what the package asks for, which claims no more than the page shows to have run."""

import re
import tomllib
from pathlib import Path

from pytest_kerasequiv.keras_access.supported import KERAS, TENSORFLOW

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SWITCH = re.compile(r"Version switch: .*?Goes\s+when\s+the\s+floor\s+is\s+Keras\s+([\d.]*\d)", re.DOTALL)


def runs():
    """Return the rows of the table of what ran, as cells by their heads."""
    lines = PAGE[PAGE.index("| environment |") :].partition("\n\n")[0].splitlines()
    heads, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(heads, row, strict=True)) for row in rows]


def dotted(version):
    return ".".join(map(str, version))


def test_one_floor_everywhere():
    extra = PROJECT["optional-dependencies"]["tensorflow"]
    assert extra == [f"keras>={dotted(KERAS)}", f"tensorflow>={dotted(TENSORFLOW)}"]
    assert f"TensorFlow {dotted(TENSORFLOW)} or newer with Keras {dotted(KERAS)} or newer" in PAGE
    assert any(
        row["TensorFlow"].startswith(dotted(TENSORFLOW)) and row["Keras"] == dotted(KERAS) for row in runs()
    )


def test_classifiers_name_only_pythons_that_ran():
    claimed = {text.rpartition(" ")[2] for text in PROJECT["classifiers"] if "Python :: 3." in text}
    assert claimed
    assert claimed <= {row["Python"].rpartition(".")[0] for row in runs()}


def test_every_switch_says_when_it_can_go_and_stands_on_the_page():
    files = (ROOT / "src" / "pytest_kerasequiv").rglob("*.py")
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    switching = [file for file, text in texts.items() if "Version switch: " in text or "is_before(" in text]
    switching = [file for file in switching if file.name != "supported.py"]
    assert switching
    for file in switching:
        assert file.parent.name == "keras_access", f"{file} is no place for a version switch"
        found = SWITCH.findall(texts[file])
        assert len(found) == texts[file].count("Version switch: "), (
            f"{file} does not say when its switch can go"
        )
        for version in found:
            assert re.search(rf"^\| `{file.stem}.*\| Keras {re.escape(version)} \|$", PAGE, re.MULTILINE), (
                file
            )
