"""Fresh compile settings for each model."""

import keras
import numpy as np
import pytest

from pytest_kerasequiv import InputError, Verdict, compare
from pytest_kerasequiv.building.compiling import (
    check_compile,
    compile_fresh,
    compile_settings,
)
from pytest_kerasequiv.building.told_apart import told_apart
from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.building.workbench import compiled_for_now
from pytest_kerasequiv.keras_access.optimizer_state import UNDECAYED
from pytest_kerasequiv.running.float64 import build_float64


def model():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that nobody registered."""

    def __call__(self, step):
        return 0.125 + 0.0 * keras.ops.cast(step, "float32")

    def get_config(self):
        return {}


class Forgetful(keras.metrics.Mean):
    """A metric whose config forgets its threshold."""

    def __init__(self, threshold=0.5, name="forgetful"):
        super().__init__(name=name)
        self.threshold = threshold

    def get_config(self):
        return {"name": self.name}


class Doubling(keras.metrics.Mean):
    """A metric that keeps another number under the name of its argument, and has no config of its own."""

    def __init__(self, threshold=0.5, name="doubling"):
        super().__init__(name=name)
        self.threshold = 2 * threshold

    def get_config(self):
        return {"name": self.name}


class Needy(keras.metrics.Mean):
    """A metric that cannot be made without an argument that its config lacks."""

    def __init__(self, threshold, name="needy"):
        super().__init__(name=name)

    def get_config(self):
        return {"name": self.name}


class Boosted(keras.optimizers.Optimizer):
    """An optimizer without a config of its own that keeps its argument under another name."""

    def __init__(self, learning_rate, boost):
        super().__init__(learning_rate=learning_rate, clipnorm=3.0)
        self._boost = boost

    def build(self, variables):
        super().build(variables)
        self.totals = [self.add_variable_from_reference(variable, "total") for variable in variables]

    def update_step(self, gradient, variable, learning_rate):
        variable.assign_sub(self._boost * learning_rate * gradient)


class BoostedAdam(keras.optimizers.Adam):
    """The same of Adam, with a learning rate of its own."""

    def __init__(self, boost):
        super().__init__(learning_rate=keras.optimizers.schedules.ExponentialDecay(0.125, 10, 0.5))
        self.boost, self.beta_1 = boost, 0.75


def test_a_metric_whose_config_forgets_what_it_holds_is_copied_from_that():
    copied = model()
    compile_fresh(copied, {"optimizer": "sgd", "loss": "mse", "metrics": [Forgetful(0.9)]})
    assert copied._compile_metrics._user_metrics[0].threshold == 0.9


@pytest.mark.parametrize("built", [False, True])
def test_an_optimizer_without_config_is_copied_by_its_attributes(built):
    boosted, adam = Boosted(0.25, 2.0), BoostedAdam(3.0)
    if built:
        boosted.build(model().trainable_variables)
    models = model(), model()
    for each, optimizer in zip(models, (boosted, adam), strict=True):
        compile_fresh(each, {"optimizer": optimizer, "loss": "mse"})
        each.fit(np.ones((1, 2)), np.ones((1, 1)), verbose=0)
    first, second = (each.optimizer for each in models)
    assert first is not boosted
    assert (first._boost, first.clipnorm, float(first.learning_rate)) == (2.0, 3.0, 0.25)
    assert int(boosted.iterations) == 0
    assert (second.boost, second.beta_1) == (3.0, 0.75)
    assert float(second.learning_rate) == pytest.approx(0.125 * 0.5**0.1)


def test_optimizers_and_metrics_are_copied_with_their_settings():
    given = {
        "optimizer": keras.optimizers.Adam(0.25, amsgrad=True, clipnorm=3.0),
        "loss": keras.losses.Huber(delta=2.0),
        "metrics": [keras.metrics.RootMeanSquaredError(name="rmse"), "mae"],
    }
    models = model(), model()
    for each in models:
        compile_fresh(each, given)
    one, other = (each.optimizer for each in models)
    assert one is not other
    assert one is not given["optimizer"]
    assert one.get_config() == other.get_config() == given["optimizer"].get_config()
    rmse = [compile_settings(each)["metrics"][0] for each in models]
    assert rmse[0] is not rmse[1]
    assert [m.name for m in rmse] == ["rmse", "rmse"]
    assert models[0].loss._fn_kwargs == {"delta": 2.0}
    assert not given["optimizer"].built


def test_strings_dicts_and_functions_pass():
    def own_loss(y_true, y_pred):
        return keras.ops.mean(y_pred)

    each = model()
    optimizer = {"class_name": "SGD", "config": {"learning_rate": 0.5}}
    compile_fresh(each, {"optimizer": optimizer, "loss": own_loss, "metrics": ("mse",)})
    assert float(each.optimizer.learning_rate) == 0.5
    assert each.loss is own_loss


def test_unregistered_schedules_pass():
    each = model()
    compile_fresh(each, {"optimizer": keras.optimizers.SGD(Schedule()), "loss": "mse"})
    assert float(each.optimizer.learning_rate) == 0.125


def test_settings_per_output_are_copied():
    inputs = keras.Input((2,))
    outputs = {name: keras.layers.Dense(1, name=name)(inputs) for name in ("a", "b")}
    each = keras.Model(inputs, outputs)
    metric = keras.metrics.MeanAbsoluteError()
    compile_fresh(each, {"loss": {"a": "mse", "b": "mae"}, "metrics": {"a": [metric], "b": []}})
    assert compile_settings(each)["metrics"]["a"][0] is not metric


@pytest.mark.parametrize(
    ("metric", "message"),
    [(Doubling(0.9), "a copy has another 'threshold'"), (Needy(1), "missing 1 required")],
)
def test_what_cannot_be_copied_is_an_error(metric, message):
    with pytest.raises(
        InputError, match=rf"compile\['metrics'\] is an instance of {type(metric).__name__}.*{message}"
    ):
        compile_fresh(model(), {"optimizer": "sgd", "loss": "mse", "metrics": [metric]})


@pytest.mark.parametrize("settings", [{"optimizer": "adamm"}, {"optimiser": "adam"}])
def test_what_keras_refuses_is_an_error(settings):
    with pytest.raises(InputError, match=r"refused by Model\.compile") as error:
        compile_fresh(model(), settings)
    assert repr(next(iter(settings.values()))) in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "no such"},
        {"metrics": ["accuracy", "no such"]},
        {"weighted_metrics": {"a": ["no such", "mae"]}},
    ],
)
def test_unknown_losses_and_metrics_are_an_error(settings):
    with pytest.raises(InputError, match=rf"compile\['{next(iter(settings))}'\] names 'no such'"):
        compile_fresh(model(), settings)


@pytest.mark.parametrize("given", ["adam", {}, [("loss", "mse")], {1: 2}])
def test_compile_must_be_a_mapping(given):
    with pytest.raises(InputError, match=r"compile=.*optimizer"):
        check_compile(given)


def test_none_compiles_nothing():
    assert check_compile(None) is None
    assert compile_settings(model()) is None


def undecayed(compiled):
    """Return the paths of the weights that a model's optimizer does not decay, without the model's name."""
    treated = (one["weight"] for one in told_apart(compiled).values() if one["treated"] == [UNDECAYED])
    return [path.partition("/")[2] for path in treated]


def test_what_is_excluded_by_name_from_weight_decay_is_excluded_in_a_copy():
    optimizer = keras.optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma"])
    compiled = model()
    compile_fresh(compiled, {"optimizer": optimizer, "loss": "mse"})
    assert compiled.optimizer is not optimizer
    excluded = undecayed(compiled)
    assert excluded
    assert all(path.endswith("/bias") for path in excluded)


def listing(compiled):
    """Compile a model with an optimizer that is given its last variable as one not to decay."""
    optimizer = keras.optimizers.AdamW(weight_decay=0.5)
    compiled.compile(optimizer, "mse")
    optimizer.exclude_from_weight_decay(var_list=compiled.trainable_variables[-1:])
    return compiled


def test_what_is_excluded_by_variable_from_weight_decay_is_excluded_in_a_copy():
    given = listing(model())
    expected = undecayed(given)
    assert len(expected) == 1
    wide = build_float64(Twins(given).reference_source, 0, like=given)
    for copy in (Twins(given).reference_source.build(), Twins(given).candidate, wide):
        assert copy is not given
        assert undecayed(copy) == expected
        with compiled_for_now(copy, compile_settings(given)):
            assert undecayed(copy) == expected
    with compiled_for_now(given, compile_settings(given)):
        assert undecayed(given) == expected


def test_what_another_optimizer_excluded_before_does_not_bind_a_new_one():
    def build():
        return listing(model())

    assert undecayed(Twins(build).reference)
    replaced = Twins(build, compile={"optimizer": keras.optimizers.AdamW(weight_decay=0.5), "loss": "mse"})
    assert undecayed(replaced.reference) == []
    assert undecayed(replaced.candidate) == []


def test_variables_of_another_model_are_excluded_from_nothing():
    fresh = model()
    compile_fresh(fresh, compile_settings(listing(model())))
    assert undecayed(fresh) == []


class Scaled(keras.optimizers.SGD):
    """An optimizer with a switch that its config does not tell."""

    factor = 1.0

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate * self.factor)


def test_an_own_optimizer_that_was_changed_after_it_was_made_is_copied_as_it_is():
    copied, changed = model(), Scaled()
    changed.factor = 2.0
    compile_fresh(copied, {"optimizer": changed, "loss": "mse"})
    assert copied.optimizer is not changed
    assert copied.optimizer.factor == 2.0


class ForgetfulSchedule(Schedule):
    """A schedule whose config forgets its scale."""

    def __init__(self, scale=1.0):
        self.scale = scale


def test_a_schedule_or_function_of_the_users_own_is_copied_as_it_is():
    schedule, function = ForgetfulSchedule(2.0), lambda: 0.5
    for rate in (schedule, function):
        copied = model()
        compile_fresh(copied, {"optimizer": keras.optimizers.SGD(rate), "loss": "mse"})
        held = copied.optimizer._learning_rate
        assert held.scale == 2.0 if rate is schedule else held() == 0.5
        assert held is not schedule


def test_the_optimizer_in_force_is_told_not_the_one_that_compile_was_given():
    replaced, saved = model(), model()
    for each in (replaced, saved):
        each.compile("adam", "mse")
    replaced.optimizer = keras.optimizers.SGD(0.5)
    saved._compile_config.config.pop("optimizer")  # as saving to HDF5 does
    for each in (replaced, saved):
        assert compile_settings(each)["optimizer"] is each.optimizer
        assert type(Twins(each).candidate.optimizer) is type(each.optimizer)


@pytest.mark.parametrize("recorded", [True, False])
def test_a_loss_scaler_that_compile_makes_by_itself_is_no_setting(recorded):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        mixed = model()
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.compile("adam", "mse")
    if not recorded:
        mixed._compile_config.config.pop("optimizer")
    assert type(mixed.optimizer) is keras.optimizers.LossScaleOptimizer
    assert compile_settings(mixed)["optimizer"] is mixed.optimizer.inner_optimizer
    mixed.optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), initial_scale=2.0)
    assert compile_settings(mixed)["optimizer"] is mixed.optimizer


def test_metrics_of_a_builder_give_way_to_compile_without_any():
    """Keras keeps them where a model is compiled again without metrics."""

    def measured():
        made = model()
        made.compile("sgd", "mse", metrics=["mae"])
        return made

    settings = {"optimizer": "adam", "loss": "mse"}
    assert set(Twins(measured, model, compile=settings).reference.metrics_names) == {"loss"}
    assert compare(measured, model, compile=settings).verdict is Verdict.EQUIVALENT
    assert compare(measured, model, compile={**settings, "metrics": ["mse"]}).verdict is Verdict.EQUIVALENT
