"""Where picture files lie, whatever the label files say.

Only files below the folders that the user names are ever read: a name in a label file is compared
with theirs and is never opened as a path, so neither an absolute path of another machine nor `..`
leads anywhere else. Links that lie there are followed.
"""

import pathlib
import re
import unicodedata
from collections.abc import Iterable, Sequence

from geoseg_jax.data.source import BadRecord
from geoseg_jax.data.walk import walk

READ = (".jpg", ".jpeg", ".png")  # what the reader `folder` reads
CONVERTED = (".bmp", ".tif", ".tiff", ".webp")  # written as PNG
ENDINGS = READ + CONVERTED
_WORST = 180  # bytes of a part of a name; file systems allow 255, with endings


def list_below(root: pathlib.Path, endings: Sequence[str]) -> list[pathlib.Path]:
    """The files below a folder with these endings, sorted; hidden ones are passed over."""
    return sorted(root / name for name in walk(root, endings).files if "__MACOSX" not in name)


def nfc(path: pathlib.PurePath) -> pathlib.PurePath:
    """Returns a path with accented letters spelt in one, as most do; a Mac's are in two."""
    return pathlib.PurePath(unicodedata.normalize("NFC", str(path)))


class Pictures:
    """The picture files below some folders, found by what label files call them.

    said: all paths that label files give. A folder that one of them names has the pictures of that
    folder alone: day1/0001.jpg isn't taken for day2/0001.jpg, which isn't there. Of a path of a
    whole machine the last folder counts.
    """

    def __init__(self, roots: Iterable[pathlib.Path], said: Iterable[str] = ()):
        self._named = {_folders(path) for path in said}
        paths = dict.fromkeys(p for root in roots for p in list_below(root, ENDINGS))
        self.paths = list(paths)
        self.there = frozenset(self.paths)
        self._by_name: dict[str, list[pathlib.Path]] = {}
        for path in self.paths:
            for key in {_plain(path.name), _plain(path.stem)}:
                self._by_name.setdefault(key, []).append(path)

    def find(
        self, said: str, beside: pathlib.Path, where: str, *, stem: bool = False
    ) -> pathlib.Path | None:
        """The picture that a label file means by a path, or None where there is none.

        Of several with the file's name, those below `beside`, the label file's folder, come first,
        then those that share the most folders with the path, from its end.

        Args:
          said: a path of any machine, with / or \\.
          where: the label file, for the error.
          stem: whether `said` is a name without ending.

        Raises:
          BadRecord: where two pictures fit alike.
        """
        parts = _parts(said)
        if not parts:
            return None
        wanted = _plain(parts[-1])
        fits = self._by_name.get(wanted, [])
        if not stem:
            fits = [path for path in fits if _plain(path.name) == wanted]
        fits = [path for path in fits if not self._of_another(path, _folders(said))]
        near = [path for path in fits if path.is_relative_to(beside)]
        fits = near or fits

        def shared(path: pathlib.Path) -> tuple[int, bool]:
            return _shared(path, parts[:-1]), path.parent == beside

        best = max(map(shared, fits), default=None)
        fits = [path for path in fits if shared(path) == best]
        if len(fits) > 1:
            raise BadRecord(
                f"{where}: two pictures lay claim to it, {fits[0]} and {fits[1]}; remove one, or "
                "convert each folder for itself"
            )
        return fits[0] if fits else None

    def _of_another(self, path: pathlib.Path, folders: tuple[str, ...]) -> bool:
        """Tells whether other label files name the folders of a picture, and these differ."""
        own = _shared(path, folders)
        return own < len(folders) and any(_shared(path, other) > own for other in self._named)


def _parts(said: str) -> list[str]:
    return [part for part in re.split(r"[\\/]+", said) if part not in ("", ".", "..")]


def _folders(said: str) -> tuple[str, ...]:
    """The folders in a path: all of a relative one, else the last."""
    whole = re.match(r"[\\/]|\.\.|\w:", said)
    return tuple(_parts(said)[-2:-1] if whole else _parts(said)[:-1])


def _shared(path: pathlib.Path, folders: Sequence[str]) -> int:
    """Counts the folders that a picture's path shares with others, from the end."""
    count = 0
    for ours, theirs in zip(reversed(path.parts[:-1]), reversed(folders), strict=False):
        if _plain(ours) != _plain(theirs):
            break
        count += 1
    return count


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.lower())


def safe_name(text: str) -> str:
    """Returns a path, with / between its parts and without ending, that stays where it is put.

    What isn't a letter, digit, space or one of ._-+@()= becomes _, in all alphabets.
    """
    text = unicodedata.normalize("NFC", text)
    parts = [part for part in re.split(r"[\\/]+", text) if part.strip() not in ("", ".", "..")]
    done = []
    for part in parts:
        kept = re.sub(r"[^\w .+@()=-]", "_", part).strip()
        kept = re.sub(r"^\.", "_", kept)
        done.append(kept.encode()[:_WORST].decode(errors="ignore") or "_")
    return "/".join(done) or "_"
