"""Counts floating-point operations of a program, before any compiler sees it."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend import core
from jax.interpreters import partial_eval

# To be raised with whatever changes a count by half a percent: counts are kept (budget.apply), and
# a study goes on with those that it began with.
VERSION = 2

# Primitives that move, name or draw numbers and compute none.
_MOVING = frozenset(
    {
        *("broadcast_in_dim", "reshape", "transpose", "squeeze", "expand_dims", "slice"),
        *("dynamic_slice", "pad", "concatenate", "dynamic_update_slice", "gather", "rev"),
        *("select_n", "copy", "convert_element_type", "iota", "stop_gradient"),
        *("device_put", "split", "bitcast_convert_type", "random_bits", "sharding_constraint"),
        *("optimization_barrier",),
    }
)
# Primitives that carry the program by which two numbers become one.
_COMBINING = ("scatter", "reduce", "select_and")


def count(jaxpr: core.Jaxpr) -> float:
    """Counts the operations of a program; two for each product that is summed.

    Convolutions and matrix products count in full, as if no position were padding; a transposed
    convolution without the zeros that it puts between its inputs. Everything else that computes
    with floats counts one for each number that it makes, or, where it sums up, that it reads. A
    loop counts as often as it runs, which XLA's own count leaves out; one whose turns are unknown
    counts once. Of branches by platform the default one counts, so that the number does not depend
    on the machine; of other branches the dearest.

    Args:
      jaxpr: of the program, as in `jax.jit(f).trace(...).jaxpr.jaxpr`.
    """
    # What derivatives leave behind unused is computed by nobody.
    live, _ = partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))
    return sum(_count_one(equation) for equation in live.eqns)


def _count_one(equation: core.JaxprEqn) -> float:
    name, params = equation.primitive.name, equation.params
    if name == "cond":
        return _count_branches(params)
    if name.startswith(_COMBINING):
        return _count_pointwise(equation)
    inner = [count(jaxpr) for jaxpr in _jaxprs(params)]
    if name == "scan":
        return params["length"] * sum(inner)
    if inner:
        return sum(inner)
    special: dict[str, Callable[[Any], float]] = {
        "dot_general": _count_product,
        "conv_general_dilated": _count_convolution,
    }
    return special.get(name, _count_pointwise)(equation)


def _count_branches(params: dict[str, Any]) -> float:
    platforms = params.get("branches_platforms")
    if platforms and None in platforms:
        return count(params["branches"][platforms.index(None)].jaxpr)
    return max(count(branch.jaxpr) for branch in params["branches"])


def _jaxprs(params: dict[str, Any]) -> Iterator[core.Jaxpr]:
    """Finds programs among an equation's parameters: bodies of loops and of functions."""
    for value in jax.tree.leaves(list(params.values()), is_leaf=_is_program):
        if isinstance(value, core.ClosedJaxpr):
            yield value.jaxpr
        elif isinstance(value, core.Jaxpr):
            yield value


def _is_program(value: Any) -> bool:
    return isinstance(value, core.Jaxpr | core.ClosedJaxpr)


def _count_product(equation: core.JaxprEqn) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    return 2.0 * equation.outvars[0].aval.size * math.prod(left[axis] for axis in contracted)


def _count_convolution(equation: core.JaxprEqn) -> float:
    kernel = equation.invars[1].aval
    outputs = kernel.shape[equation.params["dimension_numbers"].rhs_spec[0]]
    zeros = math.prod(equation.params["lhs_dilation"])
    return 2.0 * equation.outvars[0].aval.size * kernel.size / outputs / zeros


def _count_pointwise(equation: core.JaxprEqn) -> float:
    if equation.primitive.name in _MOVING:
        return 0.0
    avals = [v.aval for v in (*equation.invars, *equation.outvars)]
    sizes = [a.size for a in avals if jax.numpy.issubdtype(a.dtype, jax.numpy.floating)]
    made = [v.aval for v in equation.outvars]
    floats = any(jax.numpy.issubdtype(a.dtype, jax.numpy.floating) for a in made)
    return float(max(sizes)) if floats else 0.0
