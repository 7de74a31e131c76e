"""The table of a step's kernels, by hand."""

import pytest

from benchmarks import devices, kernels, roofline

H200 = devices.DEVICES["H200"]


def kernel(kind, name="k", times=1, **costs):
    zero = {"flop": 0.0, "product": "", "bytes": 0.0, "bytes_32": 0.0, "payload": 0.0}
    return kernels.Kernel(name=name, kind=kind, op_name=name, times=times, **zero | costs)


PRODUCT = kernel(kernels.PRODUCT, "product", flop=989e9, product="bf16", bytes=2.4e9)
POINTWISE = kernel(kernels.POINTWISE_32, "pointwise", times=4, flop=1e9, bytes=4.8e9, bytes_32=4e9)
SUM = kernel(kernels.COLLECTIVE, "all-reduce.1", bytes=1.0, payload=45e6)


def test_a_kernel_takes_the_longer_of_what_its_operations_and_bytes_do():
    assert roofline.seconds(PRODUCT, H200, 1) == pytest.approx((1e-3, 0.5e-3))
    # Outside of products float32 has another rate, here of 67 TFLOP/s.
    assert roofline.seconds(POINTWISE, H200, 1) == pytest.approx((4 / 67e3, 4e-3))


@pytest.mark.parametrize(
    ("chips", "expected"),
    [
        (8, 2 * 7 / 8 * 45e6 / 450e9),  # NVLink
        (256, 2 * 255 / 256 * 45e6 / 400e9),  # out of a host
    ],
)
def test_a_sum_goes_around_a_ring_twice(chips, expected):
    assert roofline.seconds(SUM, H200, chips)[1] == pytest.approx(expected)


def test_rows_add_up_and_the_heaviest_come_first():
    table = roofline.summarise([PRODUCT, POINTWISE, SUM], H200, 8, top=2)
    rows = table["kinds"]
    assert rows[kernels.POINTWISE_32]["runs"] == 4
    assert rows[kernels.POINTWISE_32]["gbytes"] == pytest.approx(19.2)
    assert rows[kernels.POINTWISE_32]["float32_gbytes"] == pytest.approx(16)
    assert rows["all"]["ms"] == pytest.approx(1 + 4 + 0.175)
    assert rows["all"]["bound_by_bytes"] == pytest.approx(4.175 / 5.175)
    assert [heavy["name"] for heavy in table["heaviest"]] == ["pointwise", "product"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("NVIDIA A100-SXM4-80GB", "A100"), ("Tesla T4", "T4"), ("TPU v5 lite", "v5e")],
)
def test_a_device_is_known_by_jaxs_name(kind, name):
    assert devices.of_kind(kind).name == name


def test_a_relative_is_another_device():
    assert devices.of_kind("NVIDIA L40S") is None
