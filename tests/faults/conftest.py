"""The model that faults are put into, and the twins made of it."""

import keras
import pytest
from keras import layers

STEPS, FEATURES = 20, 3


def _stack(
    *,
    conv=None,
    norm=None,
    activation="relu",
    dropout=None,
    pool=layers.MaxPooling1D,
    pooling=None,
    lstm=None,
    dense=None,
    order=("conv", "norm", "act", "drop", "pool", "lstm", "head"),
    extra=None,
    frozen=(),
    recurrent=True,
):
    """Return the layers of Conv1D -> BatchNorm -> relu -> Dropout -> MaxPool -> LSTM -> Dense, changed.

    Args:
        recurrent: whether it has the LSTM, whose loop is slow to trace; else a mean stands in its place.
    """
    made = {
        "conv": lambda: layers.Conv1D(**{"filters": 6, "kernel_size": 5, "name": "conv", **(conv or {})}),
        "norm": lambda: layers.BatchNormalization(**{"name": "norm", **(norm or {})}),
        "act": lambda: (
            layers.Activation(activation, name="act") if isinstance(activation, str) else activation()
        ),
        "drop": lambda: layers.Dropout(**{"rate": 0.2, "name": "drop", **(dropout or {})}),
        "pool": lambda: pool(**{"pool_size": 2, "name": "pool", **(pooling or {})}),
        "lstm": lambda: (
            layers.LSTM(**{"units": 5, "name": "lstm", **(lstm or {})})
            if recurrent
            else layers.GlobalAveragePooling1D(name="mean")
        ),
        "head": lambda: layers.Dense(**{"units": 2, "name": "head", **(dense or {})}),
        **(extra or {}),
    }
    stacked = [made[name]() for name in order]
    for layer in stacked:
        if layer.name in frozen:
            layer.trainable = False
    return stacked


def _model(*, compile=None, **changes):  # noqa: A002 - named after Model.compile
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), *_stack(**changes)], name="net")
    settings = {"optimizer": "adam", "loss": "mse", "metrics": ["mae"], **(compile or {})}
    settings["optimizer"] = _fresh(settings["optimizer"])
    model.compile(**settings)
    return model


def _fresh(optimizer):
    return optimizer if isinstance(optimizer, str) else optimizer()


@pytest.fixture(scope="session")
def build():
    """Build the base model with changes: `build(conv={"padding": "same"}, compile={...})`."""
    return _model


class Score:
    """Collects the outcome of every row, for the table at the end."""

    def __init__(self):
        self.rows = []

    def add(self, row, results, named):
        """Note one row."""
        last = results[-1]
        self.rows.append((str(row), row.check, row.verdict.value, last.name, last.verdict.value, named))

    def table(self):
        """Return the score as text."""
        lines = [f"{'row':42} {'expected':24} {'found':24} named"]
        for name, check, verdict, found_by, found, named in sorted(self.rows):
            lines.append(
                f"{name:42} {verdict + ' ' + check:24} {found + ' ' + found_by:24} {'yes' if named else 'NO'}"
            )
        right = sum(r[2] == r[4] for r in self.rows)
        names = sum(r[5] for r in self.rows)
        return "\n".join([*lines, f"verdict right: {right} of {len(self.rows)}; cause named: {names}"])


SCORE = pytest.StashKey[Score]()


@pytest.fixture(scope="session")
def score(request):
    """The score of this session; its table is printed at the end."""
    return request.config.stash.setdefault(SCORE, Score())


def pytest_terminal_summary(terminalreporter, config):
    """Print the score table."""
    kept = config.stash.get(SCORE, None)
    if kept is not None:
        terminalreporter.section("faults")
        terminalreporter.write_line(kept.table())
