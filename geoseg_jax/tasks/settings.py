"""Settings and checks that several tasks share; each task adds those of its own.

A setting that is on and would do nothing is refused. The parameters of something that is off (the
jitter's strengths where its probability is 0) stay, so that it can be switched on by itself.
"""

from collections.abc import Mapping
from typing import Any

from geoseg_jax.core.rules import SHARE, choice, each, number, text, whole
from geoseg_jax.core.setting import Flat, Setting, refuse
from geoseg_jax.models import DECODERS, ENCODERS, is_vit
from geoseg_jax.models.resnet import NORMALISATIONS
from geoseg_jax.tasks.precision import AUTO


def frozen_kwargs(config: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Gives a network what it must know of frozen parts.

    They run on their running statistics, in training as in evaluation.
    """
    transfer = config.get("transfer") or {}
    name = "frozen" if transfer.get("freeze", "all") == "all" else "fixed_statistics"
    return {name: tuple(transfer.get("frozen", ()))}


def _channels(value: Any) -> str | None:
    """Accepts the channels of a U-Net."""
    problem = each(whole(1))(value)
    return problem or (
        None if len(value) == 5 else "must be five integers, for strides 1, 2, 4, 8 and 16"
    )


ENCODER = {
    "task.name": Setting(text, "the task"),
    "model.encoder": Setting(choice(*ENCODERS), "the encoder, which can be transferred"),
    "model.normalisation": Setting(
        choice(*NORMALISATIONS),
        "mean and deviation of the encoder's input, which its weights expect",
    ),
    "model.compute_dtype": Setting(
        choice("float32", "bfloat16", AUTO),
        "type of activations; auto: bfloat16 on TPUs, and on GPUs from Ampere on, else (and in "
        "studies) float32",
    ),
}
DECODER = {
    "model.decoder": Setting(choice(*DECODERS), "decoder from the encoder's stages to maps"),
    "model.decoder_channels": Setting(_channels, "channels of unet at strides 1, 2, 4, 8 and 16"),
    "model.decoder_padding": Setting(choice("reflect", "zero"), "padding of unet and of the head"),
    "model.dpt_features": Setting(whole(1), "channels of dpt"),
}
JITTER = {
    "task.jitter.brightness": Setting(SHARE, "largest change of the brightness"),
    "task.jitter.contrast": Setting(SHARE, "largest change of the contrast"),
    "task.jitter.saturation": Setting(SHARE, "largest change of the saturation"),
    "task.jitter.hue": Setting(number(0.0, 0.5), "largest rotation of the hue, in turns"),
    "task.jitter.probability": Setting(SHARE, "probability that an example's colours change"),
}


def optional(settings: dict[str, Setting]) -> dict[str, Setting]:
    """Makes settings that a config may lack."""
    return {key: setting._replace(optional=True) for key, setting in settings.items()}


def check_jitter(flat: Flat) -> None:
    """Refuses a jitter that is on and changes nothing."""
    strengths = ("brightness", "contrast", "saturation", "hue")
    unchanged = not any(flat.get(f"task.jitter.{name}") for name in strengths)
    refuse(
        flat,
        (
            "task.jitter.probability",
            unchanged and flat.get("task.jitter.probability", 0.0) > 0,
            "has no effect while brightness, contrast, saturation and hue are 0; set it to 0 too",
        ),
    )


def check_decoder(flat: Flat) -> None:
    """Refuses a decoder that a ViT lacks the stages for."""
    encoder, decoder = flat["model.encoder"], flat.get("model.decoder", "unet")
    problems = {
        "unet": "model.decoder_channels" in flat
        and "needs stages that halve, which a ViT does not have; set config.model.decoder='dpt'",
        "deeplabv3": flat.get("model.output_stride", 16) != 16
        and "needs the stride of a ViT's stages; set config.model.output_stride=16",
        "linear": 2 in flat.get("model.probe_stages", ())
        and "can't read stage 2 of a ViT; set config.model.probe_stages=(4, 8, 16, 32)",
    }
    problem = is_vit(encoder) and problems.get(decoder)
    refuse(
        flat,
        ("model.decoder", bool(problem), f"with config.model.encoder={encoder!r} {problem}"),
    )


def check_trains_encoder(flat: Flat) -> None:
    """Refuses calibrated batch statistics in a task that trains its encoder."""
    refuse(
        flat,
        (
            "transfer.statistics",
            bool(flat.get("transfer.statistics")),
            f"has no effect with config.task.name={flat['task.name']!r}, which trains its encoder; "
            "set it to ''",
        ),
    )


def check_trains_all(flat: Flat) -> None:
    """Refuses frozen parts in a task that trains all of its parts."""
    check_trains_encoder(flat)
    refuse(
        flat,
        (
            "transfer.frozen",
            bool(flat.get("transfer.frozen")),
            f"has no effect with config.task.name={flat['task.name']!r}, which trains all of its "
            "parts; set it to ()",
        ),
    )


def check_size(flat: Flat, multiple: int, why: str) -> None:
    """Refuses pictures and windows whose sides are not multiples of a number.

    Args:
      why: what the number is, 'the encoder's largest stride'.
    """

    def near(side: int) -> str:
        below, above = side // multiple * multiple, -(-side // multiple) * multiple
        return f"{below} or {above}" if below else str(above)

    sides = {key: flat[key] for key in ("data.height", "data.width") if key in flat}
    odd = any(side % multiple for side in flat.get("data.crop", ()))
    refuse(
        flat,
        *(
            (key, side % multiple > 0, f"must be a multiple of {multiple}, {why}; use {near(side)}")
            for key, side in sides.items()
        ),
        ("data.crop", odd, f"must be multiples of {multiple}, {why}"),
    )
