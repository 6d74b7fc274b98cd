"""The traced program of a model, and the proof that two models have the same one.

What is in the program
    Inference: the outputs, and their masks, for symbolic inputs of the model's own signature (the batch
    size, and every other length the model leaves open, stay open). Training: the outputs in training mode,
    the loss (the compiled one with its loss weights and regularisation; where the model is not compiled, the
    mean square against symbolic targets), the gradient of it with respect to every trainable variable and
    every floating-point input, what weight constraints make of each variable, and the new value of every
    variable that the step itself changes (moving statistics, seed states, states of recurrent layers). Which
    variables are trainable, and which ones are shared between which uses, is part of it. Weights, targets
    and inputs are symbols. Variables that no result depends on are paired by shape, dtype and trainability;
    where one side has more of a kind, nothing is proved.

What "proved" means
    There is a one-to-one map of the variables under which both programs apply the same operations, with the
    same attributes and constants, to the same values, in the same data-dependent order. So whatever weights
    and inputs both are given (the weights through that map), both are told to compute the same thing. Names
    do not count, nor does the order of two effects that cannot meet. Two operands of one addition or
    multiplication may change places.

What it does not say
    Nothing about initial values, the initial seeds of dropout among them: the check ``weights`` compares
    them. Nothing about other input signatures, if the Python code of a layer decides by shape, dtype or its
    own attributes; a subclassed model that does not say what it takes is traced as it was first called, with
    floating-point inputs. Nothing about other versions of TensorFlow or Keras, or other devices. Nothing
    about the optimizer, metrics, callbacks or sample weights.
    Nothing about the rounding inside one operation or of a compiler that merges several (XLA, Grappler): both
    programs ask for the same, and on one machine get the same.

What is never proved
    Calls back into Python (``py_function``), lookup tables, iterators, random ops with hidden state
    (``tf.random.uniform``), variables that Keras does not know of, custom compiled code, custom training,
    evaluation or prediction steps.
"""

from __future__ import annotations

from pytest_kerasequiv.program.nodes import Program, ProgramDifference, ProgramMatch
from pytest_kerasequiv.program.proof import match_programs
from pytest_kerasequiv.program.tracing import trace

__all__ = ["Program", "ProgramDifference", "ProgramMatch", "match_programs", "trace"]
