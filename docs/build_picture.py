"""Draw ``docs/report.png``: the page of a real report, as a browser shows it.

Usage: python docs/build_picture.py     needs Chromium on the path
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from pytest_kerasequiv import compare

HERE = Path(__file__).parent
SIZE = 900, 930
COLOURS = 64
"""As many as a page needs; more only make the file larger."""


def main() -> None:
    """Compare the example with one whose dropout rate was changed, and draw the page."""
    sys.path.insert(0, str(HERE.parent / "examples" / "forecaster"))
    from forecast.models import functional, sequential

    compiled = {"optimizer": "adam", "loss": "mse"}
    careless = functools.partial(functional, dropout=0.3)
    report = compare(sequential, careless, compile=compiled, name="forecaster")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder:
        page, picture = report.save(Path(folder) / "page.html"), Path(folder) / "page.png"
        flags = ["--headless=new", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"]
        size = f"--window-size={SIZE[0]},{SIZE[1]}"
        subprocess.run([browser, *flags, size, f"--screenshot={picture}", page.as_uri()], check=True)
        small = Image.open(picture).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        small.save(HERE / "report.png", optimize=True)


if __name__ == "__main__":
    main()
