"""Zip archives whose members are stored as they are, as torch.save and numpy.savez write them.

Nothing is unpacked: a member is a window of the file. So an archive takes no more memory than its
file has bytes, whatever it says of itself.
"""

import io
import mmap
import pathlib
import struct
import zipfile
import zlib

# Of the directory at the end of an archive, some 80 bytes a member.
LARGEST_DIRECTORY = 4 * 2**20
_LOCAL = struct.Struct("<4s22xHH")  # of a member's own header: signature, lengths of name and extra


class ArchiveError(ValueError):
    """An archive that is damaged, or more than members stored as they are."""


class Archive:
    """The members of an archive by name; it stays open as long as any of them is in use.

    Raises ArchiveError for a file that is none, has a compressed or encrypted member, two of one
    name, or more in all than the file is long; OSError where the file can't be opened.
    """

    def __init__(self, path: pathlib.Path):
        with open(path, "rb") as file:
            try:
                self._content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            except ValueError as error:  # nothing can't be mapped
                raise ArchiveError("it is empty") from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in _directory(path):
            if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
                raise ArchiveError(f"{info.filename[:80]!r} in it is compressed")
            if info.flag_bits & 1:
                raise ArchiveError(f"{info.filename[:80]!r} in it is encrypted")
            if info.filename in self._members:
                raise ArchiveError(f"two of its members are called {info.filename[:80]!r}")
            self._members[info.filename] = info
        if sum(info.file_size for info in self._members.values()) > len(self._content):
            raise ArchiveError("its members are larger than itself")
        self._checked: set[str] = set()

    def sizes(self) -> dict[str, int]:
        """Name of a member -> its bytes, in the order of the archive."""
        return {name: info.file_size for name, info in self._members.items()}

    def read(self, name: str) -> memoryview:
        """The bytes of a member, on disk until they are looked at.

        Raises ArchiveError where they are not those that were stored (by their CRC-32).
        """
        info = self._members[name]
        start = info.header_offset
        header = self._content[start : start + _LOCAL.size] if start >= 0 else b""
        if len(header) < _LOCAL.size:
            raise ArchiveError(f"{name[:80]!r} lies outside of it")
        signature, *lengths = _LOCAL.unpack(header)
        start += _LOCAL.size + sum(lengths)
        content = self._content[start : start + info.file_size]
        if name not in self._checked:
            good = signature == b"PK\x03\x04" and len(content) == info.file_size
            if not good or zlib.crc32(content) != info.CRC:
                raise ArchiveError(f"{name[:80]!r} in it is damaged")
            self._checked.add(name)
        return content


class _Limited(io.FileIO):
    """A file of which no more is read at once than a directory may have."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > LARGEST_DIRECTORY:
            raise ArchiveError(f"its directory is larger than {LARGEST_DIRECTORY >> 20} MiB")
        return super().read(size)


def _directory(path: pathlib.Path) -> list[zipfile.ZipInfo]:
    try:
        with _Limited(path) as file, zipfile.ZipFile(file) as archive:
            return archive.infolist()
    except ArchiveError:
        raise
    except (zipfile.BadZipFile, struct.error, EOFError, ValueError, NotImplementedError) as error:
        raise ArchiveError(str(error)) from error
    except OSError as error:
        if error.filename:  # it can't be opened
            raise
        raise ArchiveError(str(error)) from error  # a seek to a place that it names
