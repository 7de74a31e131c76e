"""Weights by name: fetched once, and found in the cache of the library that they come from.

    hf:OWNER/NAME                 the Hugging Face hub, its main branch
    hf:OWNER/NAME@REVISION        a branch, tag or commit of it
    hf:OWNER/NAME/FOLDER/FILE     one of several files
    torchvision:resnet18          torchvision's newest weights of that model
    torchvision:resnet18@IMAGENET1K_V1

`hf:` needs huggingface_hub (pip install 'geoseg_jax[hf]') and keeps files where it keeps them
(HF_HOME); with HF_HUB_OFFLINE=1, or where the hub can't be reached, what lies there is taken.
`torchvision:` needs torchvision, which knows the address; the file goes to PyTorch's cache
(TORCH_HOME). Only addresses and caches are theirs: files are read by this package, which
executes nothing in them.
"""

import importlib
import pathlib
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from absl import logging

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.interop import described
from geoseg_jax.interop.errors import WeightsError

HUB, TORCHVISION = "hf:", "torchvision:"
_ON_HUB = re.compile(r"hf:([\w.-]+/[\w.-]+)(?:/([^@]+))?(?:@([\w./-]+))?", re.ASCII)
_OF_TORCHVISION = re.compile(r"torchvision:(\w+)(?:@(\w+))?", re.ASCII)
# The better first: of endings, and of names with one ending.
_ENDINGS = (".safetensors", ".bin", ".pth", ".pt")
_USUAL = ("model", "pytorch_model")
_NOTHING = "/"  # a pattern that no file on the hub has


class Fetched(NamedTuple):
    """A file of weights that is on this machine now.

    revision: of the hub the commit, of torchvision the weights' name. sha256: what the hash of
    the file must begin with; '' where that isn't known.
    """

    path: pathlib.Path
    revision: str
    sha256: str = ""


def is_name(source: object) -> bool:
    """Tells whether a source is a name, not a path."""
    return str(source).startswith((HUB, TORCHVISION))


def fetch(name: str) -> Fetched:
    """Finds the file of a name, in a cache or by the network.

    Raises:
      WeightsError: one line, without the library, for an unknown name, and where it is neither
        in the cache nor to be had.
    """
    return _of_hub(name) if name.startswith(HUB) else _of_torchvision(name)


def check_hash(file: Fetched, sha256: str) -> None:
    """Raises WeightsError where a file is not what its name promises."""
    if not sha256.startswith(file.sha256):
        raise WeightsError(
            f"{file.path} is damaged: its sha256 {sha256[:16]} should begin with {file.sha256}; "
            "remove it, and it is fetched again"
        )


def _of_hub(name: str) -> Fetched:
    parts = _ON_HUB.fullmatch(name)
    if not parts or ".." in name:  # neither the hub's names nor git's have it, but paths do
        raise WeightsError(f"{name}: write hf:OWNER/NAME, with @REVISION behind it if you like")
    repository, file, revision = parts.groups()
    remedy = "pip install 'geoseg_jax[hf]'"
    for part in (".errors", ".constants", ""):  # the package alone loads its parts when used
        hub = _load(f"huggingface_hub{part}", name, remedy)
    try:
        # Its usual is to wait for ever, as where a firewall drops what is sent.
        timeout = hub.constants.HF_HUB_ETAG_TIMEOUT
        info = hub.HfApi().model_info(repository, revision=revision, timeout=timeout)
    except Exception as error:  # of whatever library it makes its requests by
        _refuse_unknown(hub, name, error)
        return _of_cache(hub, name, repository, file, revision, error)
    files = [entry.rfilename for entry in info.siblings or ()]
    chosen = _choose(name, files, file)
    wanted = [n for n in files if n in {_beside(chosen, config) for config in described.FILES}]
    try:
        *_, path = [
            hub.hf_hub_download(repository, n, revision=info.sha) for n in (*wanted, chosen)
        ]
    except Exception as error:
        raise WeightsError(f"{name}: {chosen} can't be fetched ({_reason(error)})") from error
    return Fetched(pathlib.Path(path), str(info.sha))


def _refuse_unknown(hub: Any, name: str, error: Exception) -> None:
    """Raises WeightsError where the hub has answered that there is no such thing."""
    kinds = hub.errors
    if isinstance(error, kinds.GatedRepoError):
        what = "asks you to accept its terms: do so on its page, and log in by `hf auth login`"
    elif isinstance(error, kinds.RevisionNotFoundError):
        what = "has no such revision: leave @REVISION out for its main branch"
    elif isinstance(error, kinds.RepositoryNotFoundError):
        what = "is not on the hub, or is private: check its name, or log in by `hf auth login`"
    elif isinstance(error, kinds.HFValidationError):
        what = f"is no name of the hub ({_reason(error)})"
    else:
        return
    raise WeightsError(f"{name} {what}") from error


def _of_cache(
    hub: Any, name: str, repository: str, file: str | None, revision: str | None, why: Exception
) -> Fetched:
    """Finds what an earlier run has fetched, where the hub didn't answer."""
    reason = "offline mode" if isinstance(why, hub.errors.OfflineModeIsEnabled) else _reason(why)
    try:
        snapshot = hub.snapshot_download(
            repository, revision=revision, local_files_only=True, allow_patterns=_NOTHING
        )
    except OSError as error:
        raise WeightsError(
            f"{name} is not in the cache {hub.constants.HF_HUB_CACHE}, and the hub can't be asked "
            f"({reason}): fetch it once with a network, or name a file that you have"
        ) from error
    folder = pathlib.Path(snapshot)
    files = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
    chosen = folder / _choose(name, files, file)
    if reason != "offline mode":
        logging.warning("%s: from the cache, the hub can't be asked (%s)", name, reason)
    return Fetched(chosen, folder.name)


def _choose(name: str, files: Iterable[str], asked: str | None) -> str:
    """Chooses the file of weights: the one asked for, else a .safetensors before a .bin or .pth."""
    files = list(files)
    if asked:
        if asked not in files:
            raise WeightsError(f"{name} has no such file{did_you_mean(asked, files)}")
        return asked
    for ending in _ENDINGS:
        fitting = [f for f in files if f.endswith(ending) and "/" not in f]
        usual = [f"{stem}{ending}" for stem in _USUAL if f"{stem}{ending}" in fitting]
        if usual or len(fitting) == 1:
            return (usual or fitting)[0]
        if fitting:
            before, at, revision = name.partition("@")
            some = ", ".join(fitting[:4])
            one = f"{before}/{fitting[0]}{at}{revision}"
            raise WeightsError(f"{name} has several files ({some}): write {one}")
    raise WeightsError(f"{name} has no file that ends in {', '.join(_ENDINGS)}")


def _beside(file: str, other: str) -> str:
    return str(pathlib.PurePosixPath(file).with_name(other))


def _of_torchvision(name: str) -> Fetched:
    parts = _OF_TORCHVISION.fullmatch(name)
    if not parts:
        raise WeightsError(f"{name}: write torchvision:MODEL, such as torchvision:resnet18")
    model, version = parts.groups()
    models = _load("torchvision.models", name, "install torchvision")
    known = models.list_models()
    if model not in known:
        raise WeightsError(f"{name}: torchvision has no such model{did_you_mean(model, known)}")
    weights = models.get_model_weights(model)
    versions = [entry.name for entry in weights]
    if version and version not in versions:
        raise WeightsError(f"{name}: torchvision's weights of it are {', '.join(versions)}")
    chosen = weights[version] if version else weights.DEFAULT
    hub = _load("torch.hub", name, "install torchvision")
    path = pathlib.Path(hub.get_dir()) / "checkpoints" / chosen.url.rpartition("/")[2]
    digest = re.search(r"-([0-9a-f]{8,})\.", path.name)
    start = digest[1] if digest else ""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            hub.download_url_to_file(chosen.url, str(path), start, progress=False)
        except Exception as error:  # of urllib, http, and of a hash that differs
            raise WeightsError(
                f"{name} is not in the cache {path.parent} and can't be fetched "
                f"({_reason(error)}): put {path.name} there, or name a file that you have"
            ) from error
    return Fetched(path, chosen.name, start)


def _load(module: str, name: str, remedy: str) -> Any:
    """Imports a library that only this source needs."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise WeightsError(
            f"{name} needs {library}, which is not installed: {remedy}, or name a file of weights"
        ) from error
    except Exception as error:  # torchvision beside a PyTorch that it was not built for
        raise WeightsError(f"{name}: {module} can't be loaded ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:160]}".strip(": ")
