"""A study that nobody ran, with known effects: what the report is tried on."""

import base64
import io
import itertools
from collections.abc import Mapping

import numpy as np
import PIL.Image

from geoseg_jax.analysis import results

ARMS = {  # name: (label, gain over the reference in mIoU, how many times as fast it learns)
    "random": ("Random", 0.0, 1.0),
    "classification": ("Classification", 0.031, 1.3),
    "reconstruction": ("Reconstruction", 0.012, 1.1),
    "depth_mono": ("Depth, mono", 0.058, 1.8),
    "depth_stereo": ("Depth, stereo", 0.071, 2.2),
    "depth_supervised": ("Depth, supervised", 0.064, 2.0),
    "flow_paper": ("Flow, paper", -0.028, 0.8),
    "flow_strong": ("Flow, strong", 0.022, 1.2),
}
CLASSES = ("road", "pavement", "building", "vegetation", "terrain", "sky", "car", "bicycle")
FACTORS = {
    "labels": [8, 16, 64],
    "training": ["fine_tuned", "frozen"],
    "decoder": ["unet"],
    "resolution": ["192x64"],
    "encoder": ["resnet18"],
}
WARNING = "has seen test drives: its depth labels come from the drives that test"
WARNINGS = {("depth_supervised", 16): WARNING}  # of an arm's rows with so many labels
STEPS = np.arange(50, 401, 50)


def study(
    arms: int = 8,
    replicates: int = 4,
    seed: int = 0,
    pictures: bool = True,
    warnings: Mapping[tuple[str, int], str] = WARNINGS,
) -> dict:
    """A whole study: `arms` arms (the first is the reference), `replicates` seeds per cell."""
    generator = np.random.default_rng(seed)
    names = list(ARMS)[:arms]
    rows = _rows(names, replicates, generator)
    _lose(rows)
    for row in rows:
        row["warning"] = warnings.get((row["arm"], row["labels"]), "")
    return results.assemble(
        rows,
        names[0],
        title="Which pre-training gives segmentation the most?",
        question=f"{arms} ways to pre-train one ResNet-18 on a synthetic street, each then given "
        "8, 16 or 64 labelled pictures.",
        arms=[_arm(name) for name in names],
        panels=_panels(names, generator) if pictures else [],
        features=_features(names, generator) if pictures else {},
        budget="Every arm saw 24 000 pictures in pre-training (1 500 steps of 16) and 6 400 in "
        "transfer (400 steps of 16)",
        guard="All cells agree in decoder, resolution, normalisation, steps, classes, "
        "augmentation and evaluation; they differ in the declared factors alone.",
        versions={"geoseg_jax": "0.1.0", "jax": "0.10.2", "flax": "0.12.8", "python": "3.12"},
        hardware="two cores of an AMD EPYC",
        date="2026-11-22",
        commands=["python -m geoseg_jax.study --config=configs/study_quick.py --workdir=W"],
    )


def bare() -> dict:
    """All that a study may lack is lacking: one row that failed, and every list empty."""
    row = dict(cell="a", arm="only", labels=8, training="frozen", decoder="unet", subset=0, seed=0)
    row |= dict(resolution="192x64", encoder="resnet18", status="failed", miou=float("nan"))
    row |= dict(seconds=None, error="ValueError: no labels", curve=[])
    return dict(title="Nothing yet", reference="only", rows=[row])


def hostile(text: str) -> dict:
    """A small study in which every word that a person or a data set may choose is `text`."""
    made = study(arms=2, replicates=2)
    for key in ("title", "question", "budget", "guard", "hardware", "date", "metric"):
        made[key] = text
    made["answer"], made["commands"], made["versions"] = [text, text], [text], {text: text}
    made["classes"] = [text, *CLASSES[1:]]
    for gains in made["class_gains"]:
        gains["gains"][text] = gains["gains"].pop(CLASSES[0])
    for arm in made["arms"]:
        arm |= dict(label=text, config=text, command=text, ancestors=[text])
    for row in made["rows"]:
        row |= dict(error=text, command=text, status="failed" if row["seed"] else "done")
    for group in made["groups"]:
        group["warning"] = text
    for item in made["efficiency"]:
        item["sign"], item["shown"] = text, True
    for cka in made["features"]["cka"]:
        cka["stage"] = text
    for panel in [*made["panels"], *made["features"]["pca"]]:
        panel["title"] = text
        for picture in panel["pictures"]:
            picture["caption"] = text
    return made


def conditions() -> list[dict]:
    return [
        dict(zip(FACTORS, values, strict=True)) for values in itertools.product(*FACTORS.values())
    ]


def _rows(names: list[str], replicates: int, generator: np.random.Generator) -> list[dict]:
    rows = []
    for condition, seed in itertools.product(conditions(), range(replicates)):
        shared = generator.normal(0, 0.02)  # a subset is hard or easy for every arm
        base = 0.30 + 0.055 * np.log2(condition["labels"] / 8)
        base -= 0.06 if condition["training"] == "frozen" else 0.0
        for name in names:
            _, gain, speed = ARMS[name]
            gain *= 1.4 if condition["training"] == "frozen" else 1.0
            gain *= 1 - 0.2 * np.log2(condition["labels"] / 8) / 3
            final = base + gain + shared + generator.normal(0, 0.012)
            curve = final * (1 - 0.8 * np.exp(-STEPS * speed / 110))
            curve[:-1] += generator.normal(0, 0.004, len(STEPS) - 1)
            values = _classes(curve[-1], gain, generator)
            cell = "-".join([name, *map(str, condition.values()), "0", str(seed)])
            rows.append(
                dict(cell=cell, arm=name, **condition, subset=0, seed=seed, pretraining_seed=0)
                | dict(status="done")
                | dict(miou=float(curve[-1]), pixel_accuracy=float(0.55 + curve[-1] / 2))
                | {f"iou/{name}": value for name, value in zip(CLASSES, values, strict=True)}
                | dict(seconds=float(generator.uniform(11, 17)), error="")
                | dict(curve=[[int(s), float(m)] for s, m in zip(STEPS, curve, strict=True)])
                | dict(command=f"{_COMMAND} --cell={cell}")
            )
    return rows


_COMMAND = "python -m geoseg_jax.study --config=configs/study_quick.py --workdir=W"


def _classes(miou: float, gain: float, generator: np.random.Generator) -> list[float]:
    """IoU of each class with that mean: large classes are easy, small ones gain the most."""
    easy = np.linspace(0.25, -0.25, len(CLASSES))
    share = gain * np.linspace(-0.8, 0.8, len(CLASSES))
    noise = generator.normal(0, 0.01, len(CLASSES))
    return [float(value) for value in np.clip(miou + easy + share + noise - noise.mean(), 0, 1)]


def _lose(rows: list[dict]) -> None:
    """One run failed and one is not there yet."""
    for row, status, error in zip(
        (rows[5], rows[-9]), ("failed", "missing"), ("FloatingPointError: loss is nan", ""),
        strict=True,
    ):  # fmt: skip
        for key in row:
            if key in ("miou", "pixel_accuracy", "seconds") or key.startswith("iou/"):
                row[key] = float("nan")
        row |= dict(status=status, error=error, curve=[])


def _arm(name: str) -> dict:
    label, _, _ = ARMS[name]
    arm = dict(name=name, label=label, config="", command="", ancestors=[])
    if name == "random":
        nothing = dict(pictures=0, encoder_images=0, images=0, steps=0, flops=0.0, seconds=None)
        return arm | dict(spent=[dict(encoder="resnet18") | nothing])
    config = f"configs/{name.split('_')[0]}_synthetic.py"
    command = f"python -m geoseg_jax.main --config={config} --workdir=W/arms/{name}"
    spent = dict(encoder="resnet18", pictures=500, encoder_images=12000, images=24000)
    spent |= dict(steps=1500, flops=7.3e14, seconds=212.0)
    own = dict(encoder="resnet18", number="AbsRel", score=0.21, constant=0.307, runs=1, beaten=1)
    if name == "depth_mono":
        own |= dict(score=0.3128, beaten=0)
    arm |= dict(config=config, command=command, spent=[spent], own_task=[own])
    if name == "depth_supervised":
        arm |= dict(ancestors=["classification: imagenet"])
    return arm


def _street(generator: np.random.Generator, noise: float) -> np.ndarray:
    """uint8 [64, 192, 3]: sky, houses, a road, in the colours of labels."""
    rows, columns = np.mgrid[0:64, 0:192]
    picture = np.full((64, 192, 3), (128, 190, 230), float)
    picture[rows > 20 + 8 * np.sin(columns / 17)] = (120, 110, 100)
    picture[rows > 40] = (100, 140, 60)
    picture[rows > 40 + abs(columns - 96) / 4] = (90, 70, 110)
    picture[(abs(columns - 120) < 12) & (abs(rows - 44) < 7)] = (40, 60, 160)
    wrong = generator.random((16, 48)) < noise
    wrong = np.kron(wrong, np.ones((4, 4), bool))
    picture[wrong] = picture[::-1, ::-1][wrong]
    return picture.astype(np.uint8)


def data_uri(picture: np.ndarray) -> str:
    """A PNG within its address, of uint8 [h, w, 3]."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(picture).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _panels(names: list[str], generator: np.random.Generator) -> list[dict]:
    panels = []
    for title in (
        "street 7, frame 3; 16 labels, fine-tuned",
        "street 9, frame 1; 16 labels, frozen",
    ):
        truth = _street(generator, 0.0)
        photo = np.clip(truth + generator.normal(0, 25, truth.shape), 0, 255).astype(np.uint8)
        shown = {"picture": photo, "truth": truth}
        shown |= {ARMS[n][0]: _street(generator, 0.12 - ARMS[n][1]) for n in names}
        pictures = [dict(caption=caption, src=data_uri(p)) for caption, p in shown.items()]
        panels.append(dict(title=title, pictures=pictures))
    return panels


def _features(names: list[str], generator: np.random.Generator) -> dict:
    cka = []
    for stage, alike in (
        ("stride 4", 0.9),
        ("stride 8", 0.75),
        ("stride 16", 0.5),
        ("stride 32", 0.3),
    ):
        noise = generator.uniform(-0.12, 0.1, (len(names), len(names)))
        matrix = np.clip(alike + (noise + noise.T) / 2, 0, 1)
        np.fill_diagonal(matrix, 1.0)
        cka.append(dict(stage=stage, arms=list(names), matrix=matrix.tolist()))
    pictures = [
        dict(caption=ARMS[n][0], src=data_uri(_street(generator, 0.3)[::8, ::8])) for n in names
    ]
    return dict(cka=cka, pca=[dict(title="stride 8, street 7", pictures=pictures)])
