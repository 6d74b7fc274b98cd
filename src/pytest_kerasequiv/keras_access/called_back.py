"""What TensorFlow keeps beside its graphs: Python functions that ops call back, and contents of tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import script_ops

LOOKUP = "LookupTableFindV2"


def python_function(token: bytes) -> Any:
    """Return the function that an op of ``tf.py_function`` or ``tf.numpy_function`` calls back.

    ``None`` for one that is gone, and for the gradient of another, which follows from it.
    """
    found = script_ops._py_funcs.get(token.decode())
    if getattr(found, "_is_grad_func", False):
        return None
    found = getattr(found, "_func", found)
    return getattr(found, "__wrapped__", found)  # TensorFlow marks it as not to be converted


def table_content(captured: Any, inner: Any) -> list[str] | None:
    """Return the pairs of a lookup table as sorted texts; ``None`` where a function uses it for no lookup.

    Args:
        captured: the handle, outside the function.
        inner: what stands for it in the graph of the function.
    """
    # Asked for other dtypes than it has, a table ends the process: the lookup tells them.
    lookup = next((op for op in inner.consumers() if op.type == LOOKUP), None)
    if lookup is None:
        return None
    dtypes = {"Tkeys": lookup.get_attr("Tin"), "Tvalues": lookup.get_attr("Tout")}
    keys, values = tf.raw_ops.LookupTableExportV2(table_handle=captured, **dtypes)
    pairs = zip(np.asarray(keys).tolist(), np.asarray(values).tolist(), strict=True)
    return sorted({f"{key!r}: {value!r}" for key, value in pairs})
