"""Bounded unpacking of what ShakeMap files come in: plain, gzip, zip."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterable

from headscarp.errors import BadShakeMap

MAX_UNPACKED_BYTES = 400 * 2**20
"""Largest single file that is unpacked; the largest recorded grid.xml has 82 MB."""
MAX_MEMBERS = 200

BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError)
"""What zipfile raises for truncated, mutated, encrypted or oddly compressed archives."""
_BROKEN = (*BROKEN_ZIP, OSError, ValueError, OverflowError, KeyError)
"""For archives in memory, where no disk can be at fault."""


def unpacked(data: bytes, where: str, *, member: str) -> bytes:
    """The content itself: as it is, out of gzip, or the `member` of a zip (in any folder of it).

    Raises:
        BadShakeMap: cut off, damaged, without that member, or larger than 400 MB unpacked.
    """
    if data[:2] == b"\x1f\x8b":
        return _gunzipped(data, where)
    if data[:2] == b"PK":
        members = zip_members(data, where, (member,))
        if member not in members:
            raise BadShakeMap(f"{where}: expected {member} in the zip, found none")
        return members[member]
    return data


def zip_members(data: bytes, where: str, wanted: Iterable[str]) -> dict[str, bytes]:
    """Content of the members with the base names `wanted`, in any folder of the zip; absent ones left out.

    Raises:
        BadShakeMap: no zip, cut off, damaged, more than 200 members, a member twice or larger than 400 MB.
    """
    names = set(wanted)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if len(infos) > MAX_MEMBERS:
                raise BadShakeMap(f"{where}: expected at most {MAX_MEMBERS} members, found {len(infos)}")
            return _chosen(archive, infos, names, where)
    except _BROKEN as error:
        raise BadShakeMap(f"{where}: expected a whole zip file: {error}") from error


def _chosen(archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo], names: set[str], where: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for info in infos:
        name = info.filename.rpartition("/")[2]
        if name not in names:
            continue
        if name in found:
            raise BadShakeMap(f"{where}: expected one {name}, found two")
        with archive.open(info) as member:
            found[name] = _bounded(member.read(MAX_UNPACKED_BYTES + 1), f"{where}/{name}")
    return found


def _gunzipped(data: bytes, where: str) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(data, MAX_UNPACKED_BYTES + 1)
    except zlib.error as error:
        raise BadShakeMap(f"{where}: expected a gzip file: {error}") from error
    if not unpacker.eof and len(content) <= MAX_UNPACKED_BYTES:
        raise BadShakeMap(f"{where}: expected a whole gzip file, found its beginning only")
    return _bounded(content, where)


def _bounded(content: bytes, where: str) -> bytes:
    if len(content) > MAX_UNPACKED_BYTES:
        raise BadShakeMap(f"{where}: expected at most {MAX_UNPACKED_BYTES} bytes unpacked")
    return content
