"""Videos of pictures, decoded by PyAV."""

import fractions

import av
import numpy as np
import pytest

from geoseg_jax.prediction.film import film


def decoded(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return frames, stream.average_rate


@pytest.mark.parametrize(("size", "rate"), [((48, 64), 10.0), ((33, 47), 30000 / 1001)])
def test_frames_come_back_in_order_at_their_size_and_rate(tmp_path, size, rate):
    colours = [(20 * i, 255 - 20 * i, 100) for i in range(7)]
    with film(tmp_path / "a" / "x.mp4", rate) as made:
        for colour in colours:
            made.add(np.broadcast_to(np.uint8(colour), (*size, 3)))
    frames, found = decoded(tmp_path / "a" / "x.mp4")
    assert found == fractions.Fraction(rate).limit_denominator(1001)
    assert [frame.shape for frame in frames] == [
        (size[0] + size[0] % 2, size[1] + size[1] % 2, 3)
    ] * 7
    for frame, colour in zip(frames, colours, strict=True):
        assert np.abs(frame.astype(int) - colour).max() < 8
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x.mp4"]


def test_no_half_video_is_left(tmp_path):
    def stop():
        with film(tmp_path / "x.mp4", 10) as made:
            made.add(np.zeros((32, 32, 3), np.uint8))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stop()
    assert not list(tmp_path.iterdir())
