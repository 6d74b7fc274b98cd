"""The order in which ``fit`` would take the rows under the random state in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def epoch_orders(rows: int, epochs: int) -> list[NDArray[np.int64]]:
    """Return the shuffled order of each epoch, shape (rows,), as ``fit(shuffle=True)`` draws it.

    It runs Keras's own pipeline, with row numbers as the data and one batch an epoch.
    """
    import keras
    import numpy as np
    from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter

    adapter = ArrayDataAdapter(np.arange(rows), batch_size=rows, shuffle=True)
    dataset = adapter.get_tf_dataset()
    return [keras.tree.flatten(next(iter(dataset)))[0].numpy() for _ in range(epochs)]
