"""FAULTS.md 1 to 62: each is found by the check that can see it first, its layer and field named.

Not among them are 55 to 59 (batch size, epochs, shuffling, validation split, sample weights): settings
of the training, of which a comparison has one for both twins, so that they cannot differ in it.
"""

from dataclasses import dataclass
from typing import Any

import keras
import pytest
from keras import layers, regularizers

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.comparison import Comparison
from pytest_kerasequiv.verdict import Verdict

LADDER = ("weights", "outputs", "gradients", "updates")
THROUGH_THE_LSTM = {18, 27, 34, 36, 45, 51}
PLAIN = {"optimizer": "sgd", "metrics": []}
DEFAULT = ("conv", "norm", "act", "drop", "pool", "lstm", "head")


@dataclass(frozen=True)
class Fault:
    """One change: what it is, the first check that finds it, layer, and fields of which one is named."""

    number: int
    name: str
    change: dict[str, Any]
    check: str
    layer: str | None
    fields: tuple[str, ...]
    verdict: Verdict = Verdict.DIFFERENT

    @property
    def recurrent(self) -> bool:
        """Whether the model has its LSTM: where that is changed, and for some faults of each check."""
        return self.layer == "lstm" or self.number in THROUGH_THE_LSTM

    @property
    def model(self) -> dict[str, Any]:
        """The model that it is put into: settings of compile are mostly changed on three layers.

        Adam and a metric, which take long to trace, are in those that train by the compiled optimizer.
        """
        if "compile" in self.change and not self.recurrent:
            return {"recurrent": False, "order": ("drop", "lstm", "head")}
        trained = "compile" in self.change or self.verdict is Verdict.EQUIVALENT
        return {"recurrent": self.recurrent} | ({} if trained else {"compile": PLAIN})

    def __str__(self) -> str:
        return f"{self.number:02d}-{self.name.replace(' ', '-')}"


def order(**moves: str) -> tuple[str, ...]:
    """Return the default order with layers put behind others: `order(extra="conv")`."""
    names = [name for name in DEFAULT if name not in moves]
    for name, before in moves.items():
        names.insert(names.index(before) + 1, name)
    return tuple(names)


def act(make):
    """Return an activation layer in the place of the relu."""
    return {"activation": lambda: make(name="act")}


def optimizer(make, **settings):
    """Return compile settings with an optimizer made anew for each model."""
    return {"compile": {"optimizer": lambda: make(**settings)}}


ADAM, SGD = keras.optimizers.Adam, keras.optimizers.SGD

I, W, T, G, U = "outputs", "weights", "gradients", "gradients", "updates"  # noqa: E741 - the letters of the list
E = "outputs"
"""Losses: in the list G, found earlier since what ``evaluate`` returns is an entry of the surface."""

FAULTS = [
    Fault(1, "relu to tanh", {"activation": "tanh"}, I, "act", ("activation",)),
    Fault(2, "activation removed", {"activation": "linear"}, I, "act", ("activation",)),
    Fault(
        3,
        "leaky relu",
        act(lambda name: layers.LeakyReLU(0.3, name=name)),
        I,
        "act",
        ("class", "negative_slope"),
    ),
    Fault(4, "elu", {"activation": "elu"}, I, "act", ("activation",)),
    Fault(5, "padding same", {"conv": {"padding": "same"}}, I, "conv", ("padding",)),
    Fault(6, "padding causal", {"conv": {"padding": "causal"}}, I, "conv", ("padding",)),
    Fault(7, "stride 2", {"conv": {"strides": 2}}, I, "conv", ("strides",)),
    Fault(8, "dilation 2", {"conv": {"dilation_rate": 2}}, I, "conv", ("dilation_rate",)),
    Fault(9, "average pooling", {"pool": layers.AveragePooling1D}, I, "pool", ("class",)),
    Fault(10, "pool size", {"pooling": {"pool_size": 3}}, I, "pool", ("pool_size",)),
    Fault(
        11,
        "hard sigmoid",
        {"lstm": {"recurrent_activation": "hard_sigmoid"}},
        I,
        "lstm",
        ("recurrent_activation",),
    ),
    Fault(12, "lstm relu", {"lstm": {"activation": "relu"}}, I, "lstm", ("activation",)),
    Fault(
        13,
        "sequences averaged",
        {
            "lstm": {"return_sequences": True},
            "extra": {"mean": lambda: layers.GlobalAveragePooling1D(name="mean")},
            "order": order(mean="lstm"),
        },
        I,
        "lstm",
        ("return_sequences",),
    ),
    Fault(14, "go backwards", {"lstm": {"go_backwards": True}}, I, "lstm", ("go_backwards",)),
    Fault(15, "sigmoid output", {"dense": {"activation": "sigmoid"}}, I, "head", ("activation",)),
    Fault(16, "norm after act", {"order": order(norm="act")}, I, "norm", ("layer", "inputs")),
    Fault(
        17,
        "rescaling added",
        {"extra": {"scale": lambda: layers.Rescaling(1 / 255, name="scale")}, "order": ("scale", *DEFAULT)},
        I,
        "scale",
        ("layer",),
    ),
    Fault(18, "norm epsilon", {"norm": {"epsilon": 1e-5}}, I, "norm", ("epsilon",)),
    Fault(19, "filters", {"conv": {"filters": 7}}, W, "conv", ("kernel shape",)),
    Fault(20, "kernel size", {"conv": {"kernel_size": 4}}, W, "conv", ("kernel shape",)),
    Fault(21, "no bias", {"conv": {"use_bias": False}}, W, "conv", ("variables",)),
    Fault(22, "norm dropped", {"order": tuple(n for n in DEFAULT if n != "norm")}, W, "norm", ("variables",)),
    Fault(23, "norm not centred", {"norm": {"center": False}}, W, "norm", ("variables",)),
    Fault(24, "units", {"lstm": {"units": 6}}, W, "lstm", ("kernel shape",)),
    Fault(
        25,
        "layer norm added",
        {"extra": {"ln": lambda: layers.LayerNormalization(name="ln")}, "order": order(ln="conv")},
        W,
        "ln",
        ("variables",),
    ),
    Fault(26, "dropout 0", {"dropout": {"rate": 0.0}}, T, "drop", ("rate",)),
    Fault(27, "dropout rate", {"dropout": {"rate": 0.3}}, T, "drop", ("rate",)),
    Fault(28, "dropout seed", {"dropout": {"seed": 7}}, T, None, (), verdict=Verdict.EQUIVALENT),
    Fault(29, "dropout after pooling", {"order": order(drop="pool")}, T, "drop", ("inputs", "layer")),
    Fault(
        30,
        "extra dropout",
        {"extra": {"drop2": lambda: layers.Dropout(0.2, name="drop2")}, "order": order(drop2="pool")},
        T,
        "drop2",
        ("layer",),
    ),
    Fault(31, "lstm dropout", {"lstm": {"dropout": 0.2}}, T, "lstm", ("dropout",)),
    Fault(32, "recurrent dropout", {"lstm": {"recurrent_dropout": 0.2}}, T, "lstm", ("recurrent_dropout",)),
    Fault(
        33,
        "gaussian noise",
        {"extra": {"noise": lambda: layers.GaussianNoise(0.1, name="noise")}, "order": order(noise="conv")},
        T,
        "noise",
        ("layer",),
    ),
    Fault(34, "norm frozen", {"frozen": ("norm",)}, W, "norm", ("trainable",)),
    Fault(
        35, "l2", {"conv": {"kernel_regularizer": regularizers.L2(0.01)}}, E, "conv", ("kernel_regularizer",)
    ),
    Fault(
        36,
        "activity",
        {"conv": {"activity_regularizer": regularizers.L2(0.01)}},
        E,
        "conv",
        ("activity_regularizer",),
    ),
    Fault(37, "layer frozen", {"frozen": ("conv",)}, W, "conv", ("trainable",)),
    Fault(38, "norm momentum", {"norm": {"momentum": 0.9}}, G, "norm", ("momentum",)),
    Fault(
        39,
        "max norm",
        {"conv": {"kernel_constraint": keras.constraints.MaxNorm(0.5)}},
        W,
        "conv",
        ("constraint",),
    ),
    Fault(
        40,
        "kernel initialiser",
        {"conv": {"kernel_initializer": "he_normal"}},
        W,
        "conv",
        ("kernel_initializer",),
    ),
    Fault(
        41,
        "recurrent initialiser",
        {"lstm": {"recurrent_initializer": "glorot_uniform"}},
        W,
        "lstm",
        ("recurrent_initializer",),
    ),
    Fault(
        42,
        "forget bias",
        {"lstm": {"unit_forget_bias": False}},
        W,
        "lstm",
        ("unit_forget_bias", "bias", "bias_initializer"),
    ),
    Fault(43, "bias initialiser", {"conv": {"bias_initializer": "ones"}}, W, "conv", ("bias_initializer",)),
    Fault(44, "relu6", {"activation": "relu6"}, I, "act", ("activation",)),
    Fault(
        45,
        "masking before conv",
        {"extra": {"mask": lambda: layers.Masking(name="mask")}, "order": ("mask", *DEFAULT)},
        U,
        None,
        (),
        verdict=Verdict.EQUIVALENT,
    ),
    Fault(46, "sgd", optimizer(SGD), U, None, ("optimizer",)),
    Fault(
        47, "learning rate 0.1", optimizer(ADAM, learning_rate=1e-4), U, None, ("optimizer.learning_rate",)
    ),
    Fault(
        48,
        "learning rate 1.01",
        optimizer(ADAM, learning_rate=1.01e-3),
        U,
        None,
        ("optimizer.learning_rate",),
    ),
    Fault(49, "clipnorm", optimizer(ADAM, clipnorm=0.01), U, None, ("optimizer.clipnorm",)),
    Fault(50, "weight decay", optimizer(ADAM, weight_decay=0.01), U, None, ("optimizer.weight_decay",)),
    Fault(51, "adam epsilon", optimizer(ADAM, epsilon=1e-3), U, None, ("optimizer.epsilon",)),
    Fault(52, "amsgrad", optimizer(ADAM, amsgrad=True), U, None, ("optimizer.amsgrad",)),
    Fault(53, "ema", optimizer(ADAM, use_ema=True), U, None, ("optimizer.use_ema",)),
    Fault(
        54,
        "gradient accumulation",
        optimizer(ADAM, gradient_accumulation_steps=2),
        U,
        None,
        ("optimizer.gradient_accumulation_steps",),
    ),
    Fault(60, "loss weights", {"compile": {"loss_weights": [2.0]}}, E, None, ("loss_weights",)),
    Fault(61, "mae", {"compile": {"loss": "mae"}}, E, None, ("loss",)),
    Fault(62, "huber", {"compile": {"loss": "huber"}}, E, None, ("loss",)),
]


def climb(comparison):
    """Run the ladder of checks up to the first that finds a difference; return the results."""
    results = []
    for name in LADDER:
        results.append(comparison.check(name))
        if results[-1].verdict is Verdict.DIFFERENT:
            break
    return results


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_fault(fault, build, score):
    comparison = Comparison(
        Twins(
            lambda: build(**fault.model),
            lambda: build(**fault.model | fault.change),
            name=str(fault),
        )
    )
    results = climb(comparison)
    last = results[-1]
    named = _is_named(fault, last)
    score.add(fault, results, named)
    for result in results:
        assert "traceback" not in result.figures, result.figures["traceback"]
    if fault.verdict is Verdict.EQUIVALENT:
        assert [r.verdict for r in results] == [Verdict.EQUIVALENT] * len(LADDER), last.findings
    else:
        assert (last.name, last.verdict) == (fault.check, Verdict.DIFFERENT), [str(f) for f in last.findings]
        assert named, [(f.reference_layer, f.candidate_layer, f.field) for f in last.findings]


def _is_named(fault, result):
    """Tell whether the first difference names the layer and one of the fields."""
    if fault.verdict is Verdict.EQUIVALENT:
        return not result.differences
    for finding in result.differences[:1]:
        layers_named = [p.rsplit("/", 1)[-1] for p in (finding.reference_layer, finding.candidate_layer) if p]
        right_layer = fault.layer is None or fault.layer in layers_named
        if right_layer and (finding.field in fault.fields or fault.fields == ()):
            return True
    return False
