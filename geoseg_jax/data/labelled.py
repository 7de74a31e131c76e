"""From config.data to the labelled sources to train and to evaluate on, few labels included."""

from absl import logging
from ml_collections import ConfigDict

from geoseg_jax.data.labels.check import check_labels
from geoseg_jax.data.labels.subsets import FIRST, Subset, choose
from geoseg_jax.data.name_splits import REST, TRAIN, original
from geoseg_jax.data.reader import Reader
from geoseg_jax.data.source import DataError, Source, left_out


def make(reader: Reader, data: ConfigDict, *, check: bool = True) -> tuple[Source, Source]:
    """Returns a reader's sources by config.data, the first with config.data.labels records only.

    config.data.labels, subset, subset_seed: see `subsets.choose`. eval_split 'rest' evaluates on
    all that was not chosen (the paper's way), 'train' on what was. inner_fold=(k, n) parts what was
    chosen: the k-th of n folds judges the rest, at the size that labels are trained at, and no
    picture of the evaluation split is read; settings are chosen so. check: whether all labels are
    looked at, see `check_labels`; of those to train on config.data.bad_share may be unusable.
    Raises DataError where either is empty, and BadRecord for unusable labels.
    """
    train, evaluation = reader.read(data)
    _need(train, data, "train_split")
    count = data.get("labels", 0)
    if count:
        settings = (count, data.get("subset", FIRST), data.get("subset_seed", 0))
        train = Subset(train, choose(train.names, *settings))
    chosen = set(train.names)
    split = data.get("eval_split", "")
    if split in (REST, TRAIN):
        # REST leaves out other versions of pictures to train on, too.
        taken = chosen if split == TRAIN else set(map(original, chosen))
        key = str if split == TRAIN else original
        names = enumerate(evaluation.names)
        wanted = [i for i, name in names if (key(name) in taken) == (split == TRAIN)]
        evaluation = Subset(evaluation, wanted)
    if data.get("inner_fold"):
        train, evaluation = _inner(train, *data.inner_fold)
        chosen = set(train.names)
    _need(evaluation, data, "eval_split")
    shown = set(map(original, evaluation.names))
    both = [name for name in chosen if original(name) in shown]
    if both:
        logging.warning(
            "config.data.eval_split=%s: EVALUATING ON %d OF THE %d TRAINING PICTURES, OR OTHER "
            "VERSIONS OF THEM; report the numbers as such.", split, len(both), len(chosen),
        )  # fmt: skip
    if check:
        check_labels(train, "labels to train on", data.get("bad_share", 0.0))
        check_labels(evaluation, "labels to evaluate on")
    return train, evaluation


def _inner(train: Source, fold: int, folds: int) -> tuple[Source, Source]:
    """Holds out every n-th picture, from the k-th on, to evaluate on; the others train."""
    pictures = list(dict.fromkeys(map(original, train.names)))  # whose versions stay together
    if len(pictures) < folds:
        raise DataError(
            f"config.data.inner_fold=({fold}, {folds}) parts {len(pictures)} labelled pictures; "
            "ask for as many by config.data.labels, or for fewer folds"
        )
    held = set(pictures[fold::folds])
    judged, rest = (
        [i for i, name in enumerate(train.names) if (original(name) in held) == wanted]
        for wanted in (True, False)
    )
    return Subset(train, rest), Subset(train, judged)


def _need(source: Source, data: ConfigDict, key: str) -> None:
    if len(source) == 0:
        raise DataError(
            f"config.data.{key}={data.get(key, '')!r}: no labelled picture under "
            f"{data.get('root', '')!r} (left out: {left_out(source)}); choose another split, or "
            "train on fewer by config.data.labels where the rest evaluates"
        )
