"""Probes on features that are known: those that hold the label win, noise is at the floor."""

import numpy as np
import pytest

from geoseg_jax.probing import judge, patches, splits

COUNT, CLASSES, STRIDE = 8, 3, 4


@pytest.fixture(scope="module")
def labels():
    """Labels of whole cells, the first class most often; one corner is ignored."""
    generator = np.random.default_rng(0)
    cells = generator.choice(3, (COUNT, 6, 8), p=[0.5, 0.3, 0.2]).astype(np.uint8)
    full = [np.kron(c, np.ones((STRIDE, STRIDE), np.uint8)) for c in cells]
    for label in full:
        label[:STRIDE, :STRIDE] = 255
    shares = np.stack([patches.shares(label, CLASSES, (6, 8)) for label in full])
    return judge.Labels(full, shares, np.arange(CLASSES))


def miou(matrices):
    matrix = np.sum(list(matrices), axis=0)
    correct = np.diag(matrix)
    return np.mean(correct / (matrix.sum(0) + matrix.sum(1) - correct))


def score(name, features, labels, shown=()):
    cells = splits.cells([str(i) for i in range(COUNT)], [""] * COUNT, (0,), 4, 1)
    outcomes = [judge.judge(name, features, labels, cell, shown) for cell in cells]
    by_picture = {p: m for o in outcomes for p, m in o.matrices.items()}
    assert sorted(by_picture) == list(range(COUNT))
    assert all(outcome.converged for outcome in outcomes)
    return miou(by_picture.values()), outcomes


@pytest.mark.parametrize("name", judge.PROBES)
def test_the_label_wins_and_noise_is_at_the_floor(name, labels):
    generator = np.random.default_rng(1)
    noise = generator.normal(size=(COUNT, 6, 8, 5)).astype(np.float32)
    mixing = generator.normal(size=(CLASSES, 7))
    holding = (labels.shares @ mixing).astype(np.float32)
    cells = splits.cells([str(i) for i in range(COUNT)], [""] * COUNT, (0,), 4, 1)
    floor = miou([m for cell in cells for m in judge.constant(labels, cell).values()])
    top = miou(judge.ceiling(labels))
    # By hand: the first class's share of the pixels, over three classes.
    usual = np.mean([label[label < CLASSES] == 0 for label in labels.full])
    assert floor == pytest.approx(usual / 3)
    best, outcomes = score(name, holding, labels, shown=[2])
    assert best > 0.9 * top > 2.5 * floor
    assert score(name, noise, labels)[0] < floor + 0.1
    both = np.concatenate([holding, noise, np.ones_like(noise)], axis=-1)
    assert score(name, both, labels)[0] > 0.8 * top
    (shown,) = [o.maps for o in outcomes if o.maps]
    assert shown[2].shape == labels.full[2].shape


@pytest.mark.parametrize("name", judge.PROBES)
def test_settings_are_chosen_without_the_judged_pictures(name, labels):
    """Whatever the pictures that judge are, and whatever is on them: the choice stays."""
    generator = np.random.default_rng(2)
    features = generator.normal(size=(COUNT, 6, 8, 4)).astype(np.float32)
    features[..., :3] += labels.shares
    names = [str(i) for i in range(COUNT)]
    cell = next(splits.cells(names, [""] * COUNT, (0,), 4, 1))
    first, chosen = judge.judge(name, features, labels, cell).setting, set()
    for _ in range(6):
        other, shares = features.copy(), labels.shares.copy()
        other[cell.judged] = generator.normal(size=other[cell.judged].shape) * 100
        shares[cell.judged] = np.eye(CLASSES)[generator.integers(0, 3, (len(cell.judged), 6, 8))]
        chosen.add(judge.judge(name, other, labels._replace(shares=shares), cell).setting)
    assert chosen == {first}
