"""The traced program of a model, and the proof that two models have the same one.

What is in the program
    Every entry of `pytest_kerasequiv.surface.entries`, which lists the surface of a model once; the check
    names those that a proof covers. Inference: the outputs, where they stand in what is returned, their masks
    and the losses that layers add, for symbolic inputs of the model's own signature (the batch size, and
    every other length the model leaves open, stay open). Training, as ``fit`` calls the model: the same, the
    loss (the compiled one with its loss weights and regularisation; where the model is not compiled, the mean
    square against symbolic targets), the gradient of it with respect to every trainable variable and every
    floating-point input, what weight constraints make of each variable, and the new value of every variable
    that the step itself changes (moving statistics, seed states, states of recurrent layers). The compiled
    loss and metrics on symbolic outputs, with the masks that these carry, with and without sample weights,
    over two batches: with the two above that is all of ``train_step`` and ``test_step`` but the optimizer.

    Only where a model has them: steps of its own (``train_step``, ``test_step``, ``predict_step``, with the
    parts that Keras's call: ``compute_loss``, ``compute_metrics`` ...) as a whole, optimizer included;
    ``model(x)`` without ``training``, where a layer could tell it from ``False``; keyword arguments of an own
    ``call``, booleans turned over, numbers one higher or as in that code, texts as in that code, ``None``
    replaced by a tensor like the input, ``True``, 2.0 or, for a mask, a mask; each optional
    input left out, and all of them; free axes at two sets of sizes, height unlike width, and, where code of
    the user's may branch on a length, at each number in that code and one above (the six smallest numbers).

    Which variables are trainable, and which ones are shared between which uses, is part of it. Weights,
    targets and inputs are symbols. Inputs of a list go by position, those of a dict by key. Variables that no
    result depends on are paired by shape, dtype and trainability; where one side has more of a kind, or an
    entry more, nothing is proved.

What "proved" means
    There is a one-to-one map of the variables under which both programs apply the same operations, with the
    same attributes and constants, to the same values, in the same data-dependent order. So whatever weights
    and inputs both are given (the weights through that map), both are told to compute the same thing. Names
    do not count, nor does the order of two effects that cannot meet. Two operands of one addition or
    multiplication may change places.

What it does not say
    Nothing about initial values, the initial seeds of dropout among them: the check ``weights`` compares
    them. Nothing about lengths other than those named, if Python code of a layer decides by shape, about a
    branch on a batch size, or on the attributes of an object that is changed later; a subclassed model that
    does not say what it takes is traced as it was first called, with floating-point inputs. Nothing about
    keywords of ``call`` that a model refuses, or whose values are objects or texts that its code does not
    name. Nothing about methods of the user's that Keras does not call. Nothing about other
    versions of TensorFlow or Keras, or other devices. Nothing about the settings of the optimizer, names of
    metrics, callbacks. Nothing about the rounding inside one operation or of a compiler that merges several
    (XLA, Grappler): both programs ask for the same, and on one machine get the same.

What is never proved
    Calls back into Python (``py_function``), lookup tables, iterators, random ops with hidden state
    (``tf.random.uniform``; ``Program.random`` names the layers), variables that Keras does not know of,
    custom compiled code, methods that run steps from Python (``fit``, ``evaluate``, ``predict`` ...) where a
    class has its own, steps that Python cannot run on symbols, code that each call leaves otherwise in
    Python, code that asks whether it runs eagerly.
"""

from __future__ import annotations

from pytest_kerasequiv.program.nodes import Program, ProgramDifference, ProgramMatch
from pytest_kerasequiv.program.proof import match_programs
from pytest_kerasequiv.program.tracing import trace

__all__ = ["Program", "ProgramDifference", "ProgramMatch", "match_programs", "trace"]
