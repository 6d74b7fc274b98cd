from __future__ import annotations

import html.parser
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import keras
import pytest

from pytest_kerasequiv import Report, compare
from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.reporting import html as pages
from pytest_kerasequiv.reporting.outcome import CONDONED, EndedSession, Outcome
from pytest_kerasequiv.reporting.session import SessionReport
from pytest_kerasequiv.reporting.strip import CHECKS, strip
from pytest_kerasequiv.verdict import ACCEPTED

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)


class Reader(html.parser.HTMLParser):
    """Gathers tags, their attributes and the visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


@pytest.fixture(scope="session")
def page(equivalent: Report, different: Report, inconclusive: Report) -> str:
    session = SessionReport(
        (equivalent, different, inconclusive), "pytest --kerasequiv 'a b'", "failed", {"seeds": 3}
    )
    return pages.render_session(session)


def test_the_page_holds_all_there_is_to_know(page: str) -> None:
    text = read(page).text
    words = ["forecaster", "EQUIVALENT", "DIFFERENT", "INCONCLUSIVE", "models:sequential", "3.15.1"]
    titles = ["Layer graphs", "Summaries", "Divergence per layer (outputs)", "Repeated training"]
    facts = [
        "seeds 0, 1, 2",
        "mismatched elements: 3 / 4",
        "about 18 are recommended",
        "pytest --kerasequiv 'a b'",
    ]
    for expected in (*words, *titles, *facts, "Next: ", "neither a pass nor a difference"):
        assert expected in text, expected
    images = [attributes["src"] or "" for tag, attributes in read(page).tags if tag == "img"]
    assert len(images) == 3, "both graphs, the decision, the luck of a single run"
    assert "you saw 3.9 against 4.1" in text
    assert all(source.startswith("data:image/svg+xml;base64,") for source in images)


def test_the_causes_come_first_and_link_to_their_layers(different: Report) -> None:
    page = pages.render(different)
    text = read(page).text
    assert (
        text.index("What changed?") < text.index("rate is 0.2, then 0.3") < text.index("follow from it (1)")
    )
    real = compare(dropout, lambda: dropout(0.3), name="rate")
    reader = read(pages.render(real))
    marks = {attributes["id"] for tag, attributes in reader.tags if tag == "i" and "id" in attributes}
    links = [attributes["href"] for tag, attributes in reader.tags if tag == "a"]
    assert links
    assert {f"#{mark}" for mark in marks} == set(links)
    assert len(reader.tags) < 400


def dropout(rate: float = 0.2) -> keras.Model:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dropout(rate), keras.layers.Dense(2)])


def test_the_strip_has_all_eight_checks(different: Report) -> None:
    assert LADDER.names == CHECKS
    steps = {step.name: step for step in strip(replace(different, not_run={"gradients": "outputs differ"}))}
    assert tuple(steps) == CHECKS
    assert steps["gradients"].told == "not run: outputs differ"
    assert steps["training"].told == "not asked for"
    proved = replace(different["outputs"], figures={"follows": "program"})
    followed = strip(replace(different, checks={"outputs": proved}))
    assert followed[CHECKS.index("outputs")].told == "follows from program"


def test_what_was_not_expected_is_indexed_first_and_unfolded(equivalent: Report, different: Report) -> None:
    good, bad, meant = (
        replace(one, name=name)
        for one, name in ((equivalent, "good"), (different, "bad"), (different, "meant"))
    )
    equal = replace(meant)
    page = pages.render_session(EndedSession((good, meant, bad), not_failed=(equal,)))
    assert page.index(">bad<") < page.index(">meant<") < page.index(">good<")
    assert page.count('<details class="pair" open>') == 1
    assert page.count('<details class="index" open>') == 1
    many = tuple(replace(different, name=f"bad {number}") for number in range(9))
    assert pages.render_session(SessionReport(many)).count('<details class="pair" open>') == pages.OPEN


def test_what_was_accepted_is_folded(different: Report) -> None:
    meant = replace(different["graph"].findings[0], severity="note", message=f"{ACCEPTED}rate is 0.3")
    page = pages.render(replace(different, checks={"graph": replace(different["graph"], findings=(meant,))}))
    assert "1 difference accepted by accept=" in read(page).text
    assert "Nothing was shown to differ" not in page


def test_of_many_pairs_those_are_drawn_that_are_not_equivalent(
    equivalent: Report, different: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_DRAWN", 2)
    many = [replace(equivalent, name=f"good {number}") for number in range(3)]
    drawn = [replace(different, name=f"bad {number}") for number in range(2)]
    page = pages.render_session(SessionReport((*many, *drawn)))
    alone = pages.render_session(SessionReport(tuple(drawn)))
    assert page.count("<img") == alone.count("<img") > 0
    assert read(page).text.count("those first that are not EQUIVALENT") == 3


def test_the_outcome_and_what_was_expected_are_told(equivalent: Report, different: Report) -> None:
    outcome = Outcome("failed", failed=("a", "b[<script>]"), uncompared=("b[<script>]",))
    page = pages.render_session(
        EndedSession((equivalent, different), ending=outcome, not_failed=(different,))
    )
    reader = read(page)
    text = reader.text
    told = "Session failed: 2 tests failed; 1 of them compared nothing"
    assert text.index(told) < text.index("b[<script>]") < text.index("2 pairs")
    assert text.count(CONDONED) == 1
    assert "script" not in {tag for tag, _ in reader.tags}


def test_what_users_write_stays_text(page: str) -> None:
    reader = read(page)
    assert "script" not in {tag for tag, _ in reader.tags}
    assert "<script>alert('x')</script>" in reader.text
    handlers = [name for _, attributes in reader.tags for name in attributes if name.startswith("on")]
    assert handlers == []


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    sources = [attributes.get(name) or "" for _, attributes in read(page).tags for name in ("src", "href")]
    assert {source[:5] for source in sources if source} <= {"data:", "#pair"}
    assert not re.search(r"url\(|@import", page)


def test_a_picture_that_cannot_be_drawn_says_why(page: str) -> None:
    assert "the picture could not be drawn (KeyError" in page


def test_every_rule_of_the_style_is_for_the_report_alone() -> None:
    css = (Path(pages.__file__).parent / "report.css").read_text()
    selectors = re.findall(r"(?:^|[{}])\s*([^{}@]+?)\s*\{", css)
    assert len(selectors) > 20
    parts = [part.strip() for selector in selectors for part in selector.split(",")]
    assert [part for part in parts if not part.startswith(".kerasequiv")] == []


def test_a_single_report_in_a_notebook_and_in_a_file(different: Report, tmp_path: Path) -> None:
    shown = different._repr_html_()
    assert "1 pairs" not in shown
    assert shown.count("<section") == 1
    saved = different.save(tmp_path / "report.html").read_text(encoding="utf-8")
    assert saved == shown
    assert saved.lstrip().startswith("<!doctype html>")


def test_nothing_ran() -> None:
    assert "No equivalence check ran." in read(pages.render_session(SessionReport(()))).text


POLICY = re.compile(r"<meta http-equiv=.Content-Security-Policy.[^>]*>")
PROBE = """<script>
const asked = performance.getEntriesByType("resource").map(entry => entry.name.slice(0, 5));
document.title = `WIDE ${document.documentElement.scrollWidth - innerWidth} ASKED ${[...new Set(asked)]}`;
</script>"""


@pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine (apt-get install chromium)")
class TestInBrowser:
    FLAGS = (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND",  # Chromium's own calls home find nobody
    )  # fmt: skip

    def open(self, page: str, folder: Path, *flags: str) -> str:
        """Open the page and return what Chromium says."""
        (folder / "report.html").write_text(page, encoding="utf-8")
        command = [CHROMIUM, *self.FLAGS, f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr"]
        command += [*flags, (folder / "report.html").as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        return done.stdout + done.stderr

    @pytest.mark.parametrize("width", [500, 1200], ids=["phone", "desktop"])
    @pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
    def test_it_opens_without_errors(self, page: str, tmp_path: Path, width: int, dark: bool) -> None:
        from PIL import Image

        picture = tmp_path / "page.png"
        scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
        said = self.open(page, tmp_path, f"--window-size={width},1000", f"--screenshot={picture}", scheme)
        assert "CONSOLE" not in said
        with Image.open(picture) as image:
            assert image.width == width
            corner = image.convert("RGB").getpixel((2, 2))
        assert isinstance(corner, tuple)
        assert (sum(corner) < 150) is dark

    def test_a_script_in_a_name_does_not_run(self, page: str, tmp_path: Path) -> None:
        said = self.open(page, tmp_path, "--dump-dom")
        assert "alert('x')" in said
        assert "<script" not in said

    def test_the_policy_of_the_page_is_in_force(self, page: str, tmp_path: Path) -> None:
        said = self.open(page.replace("</body>", f"{PROBE}</body>"), tmp_path, "--dump-dom")
        assert "CONSOLE" in said
        assert "Content Security Policy" in said
        assert "<title>WIDE" not in said

    @pytest.mark.parametrize("width", [500, 1200], ids=["phone", "desktop"])
    def test_it_asks_nobody_and_does_not_scroll_sideways(self, page: str, tmp_path: Path, width: int) -> None:
        probed = POLICY.sub("", page).replace("</body>", f"{PROBE}</body>")
        said = self.open(probed, tmp_path, f"--window-size={width},900", "--dump-dom")
        found = re.search(r"<title>WIDE (-?\d+) ASKED ([^<]*)</title>", said)
        assert found is not None
        assert int(found[1]) <= 0
        assert found[2] in {"", "data:"}
