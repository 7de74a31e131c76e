"""Where the time of a step goes: what is read of a program, against counts by hand."""

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from benchmarks import step_profile


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(8, (3, 3), padding="VALID", use_bias=False, name="encoder")(x))
        return nn.Dense(5, use_bias=False, name="head")(x.reshape(len(x), -1))


def test_operations_by_part_and_pass():
    net, x = Net(), jnp.ones((2, 8, 10, 4))
    variables = net.init(jax.random.key(0), x)
    gradient = jax.jit(jax.grad(lambda v: jnp.square(net.apply(v, x)).mean()))
    text = gradient.lower(variables).compile().as_text()
    found = {}
    for kernel in step_profile.read_kernels(text, ("encoder", "head")).values():
        if kernel.flop and kernel.opcode != "fusion":  # which does what the other ones do
            key = kernel.part, kernel.backward
            found[key] = found.get(key, 0) + kernel.flop
    convolution, product = 2 * (2 * 6 * 8 * 8) * (9 * 4), 2 * 2 * (6 * 8 * 8) * 5
    assert found["encoder", False] == convolution
    assert found["head", False] == product
    # No gradient by the pictures; and a gradient that XLA left without a name, at the border of two
    # parts, may be counted for either.
    backward = found.get(("encoder", True), 0) + found["head", True]
    assert backward == convolution + 2 * product
    assert sum(found.values()) == 2 * convolution + 3 * product


TEXT = """HloModule jit_f

%fused (p: f32[4,6]) -> f32[4,3] {
  %p = f32[4,6]{1,0} parameter(0)
  %w = f32[6,3]{1,0} constant({...})
  ROOT %dot.1 = f32[4,3]{1,0} dot(%p, %w), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

ENTRY %main (x: f32[4,6]) -> f32[4,3] {
  %x = f32[4,6]{1,0} parameter(0)
  %neg = f32[4,6]{1,0} negate(%x), metadata={op_name="jit(f)/transpose(jvp(Net))/head/neg"}
  %copy.2 = f32[4,6]{0,1} copy(%neg)
  %while.1 = f32[4,6]{1,0} while(%copy.2), body=%b, condition=%c
  ROOT %fusion.3 = f32[4,3]{1,0} fusion(%copy.2), kind=kOutput, calls=%fused
}
"""


def test_a_fusion_counts_and_what_has_no_name_belongs_to_its_operands():
    kernels = step_profile.read_kernels(TEXT, ("head",))
    assert "while.1" not in kernels
    assert kernels["copy.2"][:4] == ("head", True, "other", 0)
    assert kernels["fusion.3"][:4] == ("head", True, "product", 2 * 4 * 3 * 6)
    assert kernels["x"].part == step_profile.UNNAMED


def test_rows_add_up_to_the_trace(tmp_path):
    x = jnp.ones((64, 64))
    product = jax.jit(lambda x: x @ x).lower(x).compile()
    product(x).block_until_ready()
    with jax.profiler.trace(tmp_path):
        product(x).block_until_ready()
    spent = step_profile.kernel_seconds(tmp_path)
    kernels = step_profile.read_kernels(product.as_text(), ())
    seen = {name: kernel for name, kernel in kernels.items() if name in spent}
    assert sum(kernel.flop for kernel in seen.values()) == pytest.approx(2 * 64**3)
