from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_api_page_is_what_the_docstrings_say(tmp_path: Path) -> None:
    program = f"import runpy; print(runpy.run_path({str(DOCS / 'build_api.py')!r})['page'](), end='')"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == (DOCS / "api.md").read_text(encoding="utf-8"), "run: python docs/build_api.py"


def test_every_public_name_has_an_entry() -> None:
    import pytest_kerasequiv

    page = (DOCS / "api.md").read_text(encoding="utf-8")
    for name in (*pytest_kerasequiv.__all__, "keras_twins", "kerasequiv_executor", "kerasequiv_settings"):
        assert f"\n## `{name}`\n" in page
