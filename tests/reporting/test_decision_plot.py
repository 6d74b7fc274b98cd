import json
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from pytest_kerasequiv import equivalence_test
from pytest_kerasequiv.reporting.decision_plot import draw, draw_luck
from pytest_kerasequiv.statistics.luck import luck_of_one_run


@pytest.fixture
def runs():
    rng = np.random.default_rng(3)
    x = rng.normal(4, 0.3, 20)
    return x, x + rng.normal(0, 0.1, 20)


def svg_text(path):
    root = ET.fromstring(path.read_text())
    return " ".join("".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text"))


def test_writes_verdict_margin_and_p_values(runs, tmp_path):
    test = equivalence_test(*runs, paired=True, margin="5%")
    text = svg_text(draw(test, tmp_path / "a.svg", title="val_mae"))
    for part in ("EQUIVALENT", "margin 5%", "val_mae", "reference", "candidate", "equivalence p", "20 runs"):
        assert part in text


def test_draws_the_same_from_the_json_form(runs, tmp_path):
    x, y = runs
    y[3] = np.nan
    test = equivalence_test(x, y, paired=True)
    first = draw(test, tmp_path / "a.svg").read_bytes()
    again = draw(json.loads(json.dumps(test.to_dict())), tmp_path / "b.svg").read_bytes()
    assert first == again
    assert "1 failed" in svg_text(tmp_path / "a.svg")


def test_joins_paired_runs_only(runs, tmp_path):
    paired = draw(equivalence_test(*runs, paired=True), tmp_path / "p.svg").read_text()
    unpaired = draw(equivalence_test(*runs), tmp_path / "u.svg").read_text()
    assert paired.count("#bbbbbb") == 20
    assert unpaired.count("#bbbbbb") == 0


@pytest.mark.parametrize(
    "arms",
    [
        ([1.0] * 9, [1.0] * 9),
        ([0.0] * 9, [0.0] * 9),
        ([np.nan] * 9, [1.0] * 9),
        ([np.nan] * 9, [np.inf] * 9),
        ([1.0, 2.0], [1.0, 3.0]),
        ([1.0] * 5, [2.0] * 8),
    ],
)
def test_draws_degenerate_decisions(arms, tmp_path):
    assert draw(equivalence_test(*arms), tmp_path / "d.png").stat().st_size > 5000


def test_leaves_pyplot_and_settings_alone(runs, tmp_path):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    draw(equivalence_test(*runs), tmp_path / "a.png")
    assert dict(mpl.rcParams) == before


def test_the_name_of_a_metric_is_plain_text(runs, tmp_path):
    with warnings.catch_warnings(action="error"):  # the font need not have every letter
        text = svg_text(draw(equivalence_test(*runs), tmp_path / "a.svg", title="$x^{2$ 誤差\n\x1b"))
        draw_luck(luck_of_one_run(runs[0]), tmp_path / "b.svg", title="$x^{2$ 誤差\n\x1b")
    assert r"$x^{2$ 誤差\n\x1b" in text


def test_refuses_other_suffixes(runs, tmp_path):
    with pytest.raises(ValueError, match=r"\.svg or \.png"):
        draw(equivalence_test(*runs), tmp_path / "a.pdf")


def test_the_luck_of_a_single_run_is_drawn_with_what_was_seen(runs, tmp_path):
    luck = luck_of_one_run(runs[0], (3.96, 4.49))
    text = svg_text(draw_luck(json.loads(json.dumps(luck.to_dict())), tmp_path / "l.svg", title="mae"))
    for part in ("you saw 0.53", "half of all pairs", "1 in 20", "single runs of the reference in mae"):
        assert part in text
    assert "you saw" not in svg_text(draw_luck(luck_of_one_run(runs[0]), tmp_path / "n.svg"))


@pytest.mark.parametrize("values", [[1.0, 1.0], [1.0, 2.0], [0.0] * 20])
def test_the_luck_of_degenerate_runs_is_drawn(values, tmp_path):
    assert draw_luck(luck_of_one_run(values, (0.0, 0.0)), tmp_path / "d.png").stat().st_size > 5000
