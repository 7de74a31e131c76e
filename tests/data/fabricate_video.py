"""Small videos: a textured plane that slides by, as folders of frames and as files."""

import pathlib
from collections.abc import Container, Sequence

import cv2
import numpy as np

HEIGHT, WIDTH = 48, 96


def frame(shift: float, seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """uint8 [height, width, 3]: smooth noise, moved to the left by `shift` pixels."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, 4 * width, 3), np.uint8)
    noise = cv2.GaussianBlur(noise, (0, 0), 2)
    noise = cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX)
    move = np.array([[1, 0, -shift], [0, 1, 0]], float)
    return cv2.warpAffine(noise, move, (width, height), borderMode=cv2.BORDER_REFLECT)


def write_folder(folder: pathlib.Path, shifts: Sequence[float], seed: int = 0, **size) -> None:
    """A folder of frames, 1.png, 2.png, ..., 10.png: their names sort as numbers alone."""
    folder.mkdir(parents=True)
    for number, shift in enumerate(shifts, start=1):
        assert cv2.imwrite(str(folder / f"{number}.png"), frame(shift, seed, **size))


def write_file(
    path: pathlib.Path,
    count: int,
    height: int = HEIGHT,
    width: int = WIDTH,
    *,
    before: int = 0,
    codec: str = "mpeg4",
    rate: int = 10,
    key_every: int | None = None,
) -> None:
    """A video file whose frames are grey, frame i of brightness 20 i.

    before: frames of another video in the file, all white, that stands first.
    """
    import av

    with av.open(f"file:{path}", "w") as container:
        counts = (before, count) if before else (count,)
        streams = [container.add_stream(codec, rate=rate) for _ in counts]
        for stream in streams:
            stream.height, stream.width = height, width
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.bit_rate = 4_000_000
            stream.codec_context.gop_size = key_every or stream.codec_context.gop_size
        for stream, frames in zip(streams, counts, strict=True):
            for number in range(frames):
                value = 20 * number % 256 if stream is streams[-1] else 255
                picture = np.full((height, width, 3), value, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))


def cut(whole: pathlib.Path, path: pathlib.Path, without: Container[int]) -> None:
    """Copies a file less some of its packets, as what cuts videos does without encoding anew."""
    import av

    with av.open(f"file:{whole}") as source, av.open(f"file:{path}", "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.dts is not None and number not in without:
                packet.stream = stream
                container.mux(packet)
