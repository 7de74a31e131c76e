"""Programs in XLA's text: read, and their kernels counted by hand and by XLA's own analysis."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks import hlo, kernels

# As a GPU's compiler writes it: a fusion that reads a part of its operand, a call of cuDNN with
# workspace, a loop of three turns, an update in place, a sum over devices, a copy to the host.
GPU = """HloModule jit_step, is_scheduled=true

FileNames
1 "step.py"

%fused_slice (p: f32[8,4]) -> bf16[2,4] {
  %p = f32[8,4]{1,0} parameter(0)
  %part = f32[2,4]{1,0} slice(%p), slice={[0:2], [0:4]}
  ROOT %narrow = bf16[2,4]{1,0} convert(%part), metadata={op_name="jit(step)/decoder/convert"}
}

%fused_update (q: f32[100,4], r: f32[1,4], i: s32[]) -> f32[100,4] {
  %q = f32[100,4]{1,0} parameter(0)
  %r = f32[1,4]{1,0} parameter(1)
  %i = s32[] parameter(2)
  %double = f32[1,4]{1,0} add(%r, %r)
  ROOT %new = f32[100,4]{1,0} dynamic-update-slice(%q, %double, %i, %i)
}

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %sum = f32[] add(%a, %b)
}

%body (s: (s32[], f32[100,4], f32[1,4])) -> (s32[], f32[100,4], f32[1,4]) {
  %s = (s32[], f32[100,4]{1,0}, /*index=2*/f32[1,4]{1,0}) parameter(0)
  %turn = s32[] get-tuple-element(%s), index=0
  %rows = f32[100,4]{1,0} get-tuple-element(%s), index=1
  %row = f32[1,4]{1,0} get-tuple-element(%s), index=2
  %update = f32[100,4]{1,0} fusion(%rows, %row, %turn), kind=kLoop, calls=%fused_update
  ROOT %t = (s32[], f32[100,4]{1,0}, f32[1,4]{1,0}) tuple(%turn, %update, %row)
}

%condition (s.1: (s32[], f32[100,4], f32[1,4])) -> pred[] {
  %s.1 = (s32[], f32[100,4]{1,0}, f32[1,4]{1,0}) parameter(0)
  ROOT %always = pred[] constant(true)
}

ENTRY %main (x: f32[8,4], k: bf16[6,3,3,5], y: bf16[2,7,8,5]) -> f32[4] {
  %x = f32[8,4]{1,0} parameter(0)
  %k = bf16[6,3,3,5]{3,2,1,0} parameter(1)
  %y = bf16[2,7,8,5]{3,2,1,0} parameter(2)
  %cut = bf16[2,4]{1,0} fusion(%x), kind=kLoop, calls=%fused_slice
  %conv = (bf16[2,7,8,6]{3,2,1,0}, u8[4096]{0}) custom-call(%y, %k), LABELS, \
custom_call_target="__cudnn$convForward", metadata={op_name="jit(step)/encoder/conv"}
  %z = bf16[2,7,8,6]{3,2,1,0} get-tuple-element(%conv), index=0
  %back = (bf16[6,3,3,5]{3,2,1,0}, u8[0]{0}) custom-call(%y, %z), LABELS, \
custom_call_target="__cudnn$convBackwardFilter"
  %start = (s32[], f32[100,4]{1,0}, f32[1,4]{1,0}) tuple(%x, %x, %x)
  %loop = (s32[], f32[100,4]{1,0}, f32[1,4]{1,0}) while(%start), condition=%condition, \
body=%body, backend_config={"known_trip_count":{"n":"3"}}
  %all-reduce-start = f32[8,4]{1,0} all-reduce-start(%x), replica_groups={{0,1}}, to_apply=%add
  %all-reduce-done = f32[8,4]{1,0} all-reduce-done(%all-reduce-start)
  %host = f32[8,4]{1,0} custom-call(%x), custom_call_target="MoveToHost"
  %zero = f32[] constant(0)
  ROOT %total = f32[4]{0} reduce(%all-reduce-done, %zero), dimensions={0}, to_apply=%add
}
""".replace("LABELS", "window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_o01i->b01f")


@pytest.fixture(scope="module")
def found():
    return {kernel.name: kernel for kernel in kernels.kernels(hlo.parse(GPU))}


def test_each_kernel_has_its_kind(found):
    assert {name: kernel.kind for name, kernel in found.items()} == {
        "cut": kernels.MOVE,
        "conv": kernels.PRODUCT,
        "back": kernels.PRODUCT,
        "update": kernels.POINTWISE_32,
        "all-reduce-start": kernels.COLLECTIVE,
        "host": kernels.HOST,
        "total": kernels.REDUCE,
    }


def test_a_fusion_reads_the_part_that_it_takes(found):
    assert found["cut"].bytes == 2 * 4 * 4 + 2 * 4 * 2
    assert found["cut"].bytes_32 == 2 * 4 * 4
    assert found["cut"].op_name == "jit(step)/decoder/convert"


def test_convolutions_count_forward_and_backward_alike_and_no_workspace(found):
    # 2 pictures of 7x8, 3x3 taps, 5 channels to 6, a product and a sum each.
    assert found["conv"].flop == found["back"].flop == 2 * (2 * 7 * 8) * 9 * 5 * 6
    assert found["conv"].product == "bf16"
    assert found["conv"].bytes == 2 * (2 * 7 * 8 * 5 + 6 * 9 * 5 + 2 * 7 * 8 * 6)
    assert found["conv"].op_name == "jit(step)/encoder/conv"


def test_a_loop_runs_its_kernels_and_updates_in_place(found):
    # Reads a row and where it goes, writes the row.
    assert found["update"].times == 3
    assert found["update"].bytes == 16 + 4 + 16
    assert found["update"].flop == 4


def test_a_sum_over_devices_is_counted_where_it_starts(found):
    assert found["all-reduce-start"].payload == 8 * 4 * 4
    assert found["total"].flop == 8 * 4


def test_a_tpus_layout_pads_and_keeps_arrays_on_the_chip():
    text = (
        "ENTRY %main (x: f32[2,5,3]) -> f32[2,5,3] {\n"
        "  %x = f32[2,5,3]{2,1,0:T(8,128)} parameter(0)\n"
        "  ROOT %kept = f32[2,5,3]{2,1,0:T(8,128)S(1)} copy(%x)\n"
        "}\n"
    )
    (kernel,) = kernels.kernels(hlo.parse(text))
    assert kernel.bytes == 2 * 8 * 128 * 4  # as it is read; written to nothing outside the chip


@pytest.mark.parametrize("text", ["", "HloModule x\n%f (a: f32[]) -> f32[] {\n}\n"])
def test_text_without_an_entry_is_refused(text):
    with pytest.raises(ValueError, match="ENTRY"):
        hlo.parse(text)


def test_a_broken_line_is_named():
    with pytest.raises(ValueError, match=r"is not closed.*f32"):
        hlo.parse("ENTRY %main {\n  %x = (f32[2]{0} tuple(\n}\n")


@pytest.mark.parametrize("dialect", ["before fusion", "compiled"])
def test_operations_are_those_that_xla_counts(dialect):
    """A convolution, a product and a sum on this machine, by XLA's own analysis."""

    def function(x, k, w):
        y = jax.lax.conv_general_dilated(
            x, k, (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return (y.reshape(2, -1) @ w).sum()

    shapes = [(2, 9, 11, 3), (3, 3, 3, 8), (4 * 5 * 8, 7)]
    traced = jax.jit(function).trace(*(jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes))
    lowered = traced.lower()
    compiled = lowered.compile()
    text = compiled.as_text() if dialect == "compiled" else lowered.as_text("hlo")
    counted = sum(k.flop * k.times for k in kernels.kernels(hlo.parse(text)))
    products = 2 * (2 * 4 * 5) * 27 * 8 + 2 * 2 * (4 * 5 * 8) * 7
    assert counted == pytest.approx(products, rel=0.01)
    assert counted == pytest.approx(compiled.cost_analysis()["flops"], rel=0.02)
