"""Flags, errors and log of the commands that take --config and --workdir."""

import os
import re
import sys
from collections.abc import Callable, Iterable
from logging import ERROR, WARNING, Formatter, LogRecord
from typing import Any

from absl import flags, logging
from ml_collections import ConfigDict, config_flags

from geoseg_jax.config import files, origins, settings
from geoseg_jax.config.files import literal
from geoseg_jax.config.settings import ConfigError, config_files, find_config
from geoseg_jax.core import places
from geoseg_jax.core.disk import DiskFullError
from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.core.tell import open_streams, tell, tell_error

CONFIG = config_flags.DEFINE_config_file("config", help_string="config file, FILE.py[:OPTIONS]")
WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "folder for the results, or of a training gs://BUCKET/RUN or s3://; a run in it continues",
)
PRINT_CONFIG = flags.DEFINE_bool(
    "print_config", False, "print every setting, its value and its origin; then stop"
)
DEBUG = flags.DEFINE_bool("debug", False, "show the traceback of an error")


def parse(
    argv: list[str],
    usage: str = "",
    check: Callable[[], object] = lambda: None,
    open_sections: tuple[str, ...] = (),
    study: bool = False,
) -> list[str]:
    """Parses flags as absl does, with configs found from anywhere and errors in one line.

    A value for a whole section, --config.SECTION="{'KEY': VALUE}", sets these keys and leaves
    others as they are. Ends the process where --help or --print_config asks for text alone.

    Args:
      usage: what --help says before it names the flags.
      check: looks at further flags and raises what is wrong with them.
      open_sections: of the config, that take keys which they don't have yet.
      study: whether configs are those of studies, which have arms.
    """
    open_streams()
    if {"--help", "-h"} & set(argv):
        tell(f"{usage.strip()}\n\n{_flags_and_configs(study)}")
        sys.exit(0)
    try:
        if text := _options_asked_for(argv):
            tell(text)
            sys.exit(0)
        # config_flags reads sys.argv again to learn which settings are overridden.
        sys.argv = argv = _config_first(argv)
        words = _last_of_each(_by_key(argv))
        config = _config_of(words, study)
        words, added = _set_apart(words, config, open_sections)
        _check_keys(words, config)
        sys.argv = words
        rest = flags.FLAGS(words)[1:]
        sys.argv = argv
        if CONFIG.value:
            flag: Any = flags.FLAGS["config"]  # what config_flags adds to it has no type
            files.add(CONFIG.value, added, "--config.")
            flag.override_values.update(added)
        if CONFIG.value and PRINT_CONFIG.value and not rest:
            given = flag.config_filename, CONFIG.value, flag.override_values
            tell("\n".join(origins.describe(*given)))
            sys.exit(0)
        if rest or not CONFIG.value or not WORKDIR.value:
            unknown = f"; unknown: {' '.join(rest)}" if rest else ""
            raise ConfigError(f"give --config=FILE.py and --workdir=FOLDER{unknown}")
        if study:
            places.check_local(WORKDIR.value, "--workdir")
        check()
    except Exception as error:
        fail(error)
    return argv[:1]


def _config_first(argv: list[str]) -> list[str]:
    """Puts --config=FILE, found from anywhere, before its settings, as config_flags wants it."""
    given = [a for a in argv if a.startswith("--config=")]
    found = [f"--config={find_config(a.partition('=')[2])}" for a in given]
    return [*argv[:1], *found, *(a for a in argv[1:] if a not in given)]


def _by_key(argv: Iterable[str]) -> Iterable[str]:
    """Writes --config.SECTION={...} as one flag for each key of the dict."""
    for word in argv:
        name, _, text = word.partition("=")
        inside = literal(text) if re.match("--?config[.]", name) else None
        yield from _leaves(name, inside) if isinstance(inside, dict) and inside else (word,)


def _last_of_each(words: Iterable[str]) -> list[str]:
    """Keeps the last value of a setting: absl would join the tuples of several."""
    kept: dict[str, list[str]] = {}
    name = ""  # of a setting whose value is the next word
    for place, word in enumerate(words):
        if name and not re.match("--?[a-zA-Z]", word):  # -1 is a value
            kept[name].append(word)
            name = ""
            continue
        is_setting = re.match("--?config[.]", word)
        key = word.partition("=")[0].lstrip("-") if is_setting else str(place)
        kept[key] = [word]
        name = key if is_setting and "=" not in word else ""
    return [word for given in kept.values() for word in given]


def _leaves(name: str, value: Any) -> Iterable[str]:
    if not (isinstance(value, dict) and value):
        yield f"{name}={value}"
        return
    for key, inside in value.items():
        yield from _leaves(f"{name}.{key}", inside)


def _config_of(words: list[str], study: bool) -> ConfigDict:
    """Loads the config that is named, empty for none; raises ConfigError for the other kind."""
    text = "\n".join(words)  # --config=FILE, or FILE in a word of its own
    given = re.findall("^--?config[=\n](.+)", text, re.MULTILINE)
    config = files.load(given[-1]) if given else ConfigDict()
    if given and ("arms" in config) != study:
        kind, other = ("no study", "main") if study else ("a study", "study")
        raise ConfigError(f"--config={given[-1]} is {kind}; python -m geoseg_jax.{other} takes it")
    return config


def _set_apart(
    argv: list[str], config: ConfigDict, sections: tuple[str, ...]
) -> tuple[list[str], dict[str, Any]]:
    """Takes out of the words those that set what the config does not have yet, but may have.

    Args:
      sections: those that take any key.

    Returns:
      The other words, and key -> value.
    """
    prefixes = tuple(f"{section}." for section in sections)
    known = settings.flatten(config)
    others, taken = [], {}
    words = list(argv)
    while words:
        word = words.pop(0)
        name, equals, text = word.partition("=")
        key = re.sub("^--?config[.]", "", name)
        is_key = key != name and bool(known)
        missing = key not in known and "arms" not in config and files.may_have(key)
        if is_key and (key.startswith(prefixes) or missing):
            if not equals:  # the value is the next word; a switch has none
                alone = not words or words[0].startswith("-")
                text = "True" if alone else words.pop(0)
            taken[key] = {"true": True, "false": False}.get(text.lower(), literal(text))
        else:
            others.append(word)
    return others, taken


def _check_keys(words: list[str], config: ConfigDict) -> None:
    """Raises ConfigError for a setting that the config doesn't have."""
    for name in re.findall(r"^--?config[.]([\w.]+)", "\n".join(words), re.MULTILINE):
        section = config
        for key in name.split(".") if config else ():
            known = section if isinstance(section, ConfigDict) else ()
            if key not in known:
                hint = did_you_mean(key, known)
                raise ConfigError(f"config.{name}: {key!r} is not a setting there{hint}")
            section = section[key]


def _options_asked_for(argv: list[str]) -> str:
    """Describes the options of --config=FILE:help; '' where that is not asked for."""
    from geoseg_jax.presets.argument import HELP, Help  # where nothing else needs it

    given = [a.partition("=")[2] for a in argv if a.startswith("--config=")]
    for argument in given:
        if HELP in argument.partition(":")[2].split(","):
            try:
                files.load(argument)
            except Help as asked:
                return str(asked)
    return ""


def _flags_and_configs(study: bool) -> str:
    """Names the flags that this package defines, and the configs that come with it."""
    by_module = flags.FLAGS.flags_by_module_dict()
    ours = [f for m, found in by_module.items() if "geoseg" in m or "__main__" in m for f in found]
    lines = [f"  --{f.name}: {f.help}" for f in ours if not f.name.startswith("config.")]
    names = (
        f"  configs/{path.name}"
        for path in config_files()
        if path.name.startswith("study_") == study
    )
    lines += [
        "  --config.KEY=VALUE: another value for a setting of the config",
        "  --config=FILE.py:help: the config's options; --print_config: its settings",
    ]
    return "\n".join(["flags:", *lines, "", "configs:", *names])


def fail(error: Exception, table: str = "") -> None:
    """Prints one line on standard error and exits with code 1; with --debug, raises the error.

    table: lines that follow.
    """
    if DEBUG.value if flags.FLAGS.is_parsed() else "--debug" in sys.argv:
        raise error
    text = str(error)
    if "Traceback" in text:  # of the config file
        text = text.strip().splitlines()[-1].removeprefix("ValueError: ")
    tell_error("\n".join(filter(None, [f"error: {' '.join(text.split())}", table])))
    # Among several processes, the usual end would wait for the others, which wait for us.
    many = "jax" in sys.modules and sys.modules["jax"].distributed.is_initialized()
    # After a full disk, orbax has threads that wait for what was never written.
    os._exit(1) if many or isinstance(error, DiskFullError) else sys.exit(1)


def quieten(once: bool = False) -> None:
    """Logs our own messages, and of others only errors and what jax says of the devices.

    once: each message, which many jobs of a process would repeat, is logged but once.
    """
    logging.use_absl_handler()  # which app.run does, but not a process started by another
    handler, here = (
        logging.get_absl_handler().python_handler,
        os.path.dirname(os.path.dirname(__file__)) + os.sep,
    )

    def shown(record: LogRecord) -> bool:
        path = record.pathname
        # orbax logs the traceback of what it raises too, once for each of its threads.
        serious = record.levelno >= ERROR and not (record.exc_info and "orbax" in path)
        # That jax finds no accelerator, and falls back to the CPU.
        backend = record.levelno >= WARNING and path.endswith("xla_bridge.py")
        return path.startswith(here) or serious or backend

    handler.addFilter(shown)
    if once:
        handler.addFilter(each_once())
    handler.setFormatter(Formatter("%(message)s"))
    sys.unraisablehook = show_unraisable


def each_once() -> Callable[[LogRecord], bool]:
    """Makes a filter that passes a message on the first time alone."""
    said: set[str] = set()

    def is_new(record: LogRecord) -> bool:
        before = len(said)
        said.add(record.getMessage())
        return len(said) > before

    return is_new


def show_unraisable(unraisable: Any) -> None:
    """Prints an error that nobody could catch, but for those of tensorstore's threads.

    Where a write fails, orbax raises that and closes its event loop; of each other write under way
    tensorstore then says that the loop is closed.
    """
    error = unraisable.exc_value
    if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
        sys.__unraisablehook__(unraisable)
