"""Which layers make masks, and which value of an input is masked."""

import pytest
from keras import layers
from tests.common.models import flow

from pytest_kerasequiv.surface.masking import masks_somewhere
from pytest_kerasequiv.surface.probes import survey


@pytest.mark.parametrize("masks", [True, False])
def test_an_embedding_masks_zero_where_it_is_told_to(masks):
    model = flow(layers.Embedding(7, 2, mask_zero=masks), layers.LSTM(2), shape=(4,), dtype="int32")
    assert masks_somewhere(model) is masks
    assert survey(model).consumers[0].mask_value == (0.0 if masks else None)


def test_behind_what_no_layer_made_no_value_is_told():
    class Made(layers.Layer):
        def __init__(self):
            super().__init__()
            self.masking, self.rnn = layers.Masking(-1.0), layers.GRU(2)

        def call(self, x):
            return self.rnn(self.masking(x * 2))

    found = survey(flow(Made(), shape=(6, 2)))
    assert (found.masks, found.consumers[0].mask_value) == (True, None)


@pytest.mark.parametrize(
    "before",
    [
        lambda: layers.Rescaling([1.0, 2.0]),
        lambda: layers.Rescaling(1.0, offset=[1.0, 2.0]),
        lambda: layers.Rescaling(0.0),
        lambda: layers.Dense(2),
    ],
)
def test_behind_what_does_not_treat_every_number_alike_no_value_is_told(before):
    model = flow(before(), layers.Masking(-1.0), layers.GRU(2), shape=(6, 2))
    assert survey(model).consumers[0].mask_value is None
