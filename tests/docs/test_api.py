from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_api_page_is_what_the_docstrings_say() -> None:
    page = runpy.run_path(str(DOCS / "build_api.py"))["page"]()
    assert page == (DOCS / "api.md").read_text(encoding="utf-8"), "run: python docs/build_api.py"


def test_every_public_name_has_an_entry() -> None:
    import pytest_kerasequiv

    page = (DOCS / "api.md").read_text(encoding="utf-8")
    for name in (*pytest_kerasequiv.__all__, "keras_twins", "kerasequiv_executor", "kerasequiv_settings"):
        assert f"\n## `{name}`\n" in page
