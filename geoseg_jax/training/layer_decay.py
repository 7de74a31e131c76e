"""Learning rates that fall from an encoder's last layer to its first.

Clark et al., arXiv:2003.10555 (appendix), for transformers; for pictures Bao et al. (BEiT,
arXiv:2106.08254) and He et al. (MAE, arXiv:2111.06377, table 9). What was learned before is most
general in the first layers and is kept there, while the last ones adapt.
"""

import re
from collections.abc import Sequence

ENCODER = "encoder"
# A ViT's blocks_7, a ResNet's layer3_5.
_BLOCK = re.compile(r"(?:blocks|layer(\d+))_(\d+)")
# What comes behind the last block learns at the full rate, as decoders and heads do.
_LAST = ("norm",)


def layer_multipliers(names: Sequence[str], decay: float) -> dict[str, float]:
    """Returns the learning rate multiplier of every parameter.

    Layers are the encoder's blocks, a ViT's or a ResNet's; with L of them block k = 1 ... L gets
    decay ** (L + 1 - k), and what lies before (a stem, the embedding of patches and positions)
    decay ** (L + 1). The final norm and all other parts get 1: the numbers of BEiT and MAE.

    Args:
      names: '/'-joined paths, as 'encoder/blocks_3/attn/qkv/kernel'.
      decay: in (0, 1].

    Returns:
      name -> multiplier.
    """
    modules = {name: name.split("/")[1] for name in names if name.startswith(f"{ENCODER}/")}
    blocks = sorted({_order(module) for module in modules.values() if _BLOCK.fullmatch(module)})
    layers = {block: number for number, block in enumerate(blocks, 1)}

    def power(module: str) -> int:
        if module in _LAST:
            return 0
        number = layers[_order(module)] if _BLOCK.fullmatch(module) else 0
        return len(layers) + 1 - number

    return {name: decay ** power(modules[name]) if name in modules else 1.0 for name in names}


def _order(module: str) -> tuple[int, int]:
    match = _BLOCK.fullmatch(module)
    return (int(match[1] or 0), int(match[2])) if match else (-1, -1)
