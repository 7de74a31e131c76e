"""From a configuration to the sources to train and to evaluate on."""

from typing import Any, NamedTuple

from absl import logging
from ml_collections import ConfigDict

from geoseg_jax.data import labelled
from geoseg_jax.data.constant import WithConstantDepth
from geoseg_jax.data.fixed_views import FixedViews
from geoseg_jax.data.flow.constant import WithConstantFlow
from geoseg_jax.data.reader import Reader
from geoseg_jax.data.readers import find_reader
from geoseg_jax.data.settings import with_absolute_roots
from geoseg_jax.data.source import DataError, HasFields, Source, can, left_out
from geoseg_jax.data.transforms import augmentation


class Data(NamedTuple):
    """What a run reads: the two sources, ready at config.data.height x width."""

    train: Source
    eval: Source


def make_data(config: ConfigDict, *, check_labels: bool = True) -> Data:
    """Returns the sources that `config.data` describes; `config.data.name` names one of `READERS`.

    check_labels: read all labels once (see `labelled.make`), as before a training.
    Raises DataError, before anything is trained, for data that is missing, malformed or empty.
    """
    data, reader = with_absolute_roots(config).data, find_reader(config.data.name)
    if reader.labelled:
        train, evaluation = labelled.make(reader, data, check=check_labels)
    elif data.get("eval_name"):
        train, evaluation = _from_two(reader, data)
    else:
        train, evaluation = reader.read(data)
    for split, source in (("train", train), ("eval", evaluation)):
        # Who looks at the terminal alone shall know what is missing.
        log = logging.warning if source.left_out else logging.info
        if source.left_out or len(source) > 1:  # one record is a look at shapes
            log("%s: %d records; left out: %s", split, len(source), left_out(source))
    truth = "none" if reader.labelled else data.get("truth", "depth")
    # What was packed holds its constant prediction already.
    if can(evaluation, HasFields) and f"constant_{truth}" in evaluation.fields:
        truth = "none"
    if truth == "depth":
        evaluation = _with_constant_depth(data, train, evaluation)
    if truth == "flow":
        evaluation = _with_constant_flow(data, train, evaluation)
    if data.get("crop_views", 1) > 1:  # what compares windows is judged on windows as well
        evaluation = FixedViews(evaluation, augmentation(data))
    return Data(train, evaluation)


def _from_two(trained: Reader, data: ConfigDict) -> tuple[Source, Source]:
    """Trains on what config.data.name says and evaluates on config.data.eval_name in eval_root."""
    judged = find_reader(data.eval_name, "eval_name")
    if judged.labelled:
        raise DataError(
            f"config.data.eval_name={data.eval_name!r} has labels, which judge segmentation alone; "
            "name data of depth or flow"
        )
    if not data.get("eval_root"):
        raise DataError(
            f"config.data.eval_root is empty; set it to the folder of {data.eval_name}, or judge "
            f"on {data.name} itself by config.data.eval_name=''"
        )
    first, second = (ConfigDict(data.to_dict()) for _ in range(2))
    # The split that isn't used must be one that its reader knows.
    unused = data.train_split if trained.own_splits else "train"
    first.update({"eval_name": "", "eval_split": unused, "truth": "none"})
    unused = data.eval_split if judged.own_splits else "pool"
    second.update({"name": data.eval_name, "root": data.eval_root, "eval_name": ""})
    second.update({"train_split": unused})
    return trained.read(first)[0], judged.read(second, "eval_root")[1]


def _with_constant_depth(data: ConfigDict, train: Source, evaluation: Source) -> Source:
    return WithConstantDepth(evaluation, train, **_of_constant(data))


def _with_constant_flow(data: ConfigDict, train: Source, evaluation: Source) -> Source:
    return WithConstantFlow(evaluation, train, **_of_constant(data))


def _of_constant(data: ConfigDict) -> dict[str, Any]:
    size = {"height": data.height, "width": data.width}
    share = data.get("bad_share", 0.0)
    return size | {"limit": data.get("constant_frames", 200), "bad_share": share}
