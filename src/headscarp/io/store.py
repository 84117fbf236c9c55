"""The store: one URL, a few verbs, and conditional writes that make it the truth.

Local folders and S3 behave alike. Keys are relative POSIX paths. All writes are atomic: a reader
sees the old object or the new one, never a part.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from headscarp.errors import (
    AlreadyExists,
    Conflict,
    HeadscarpError,
    InvalidInput,
    NotFound,
    StoreError,
    StoreUnavailable,
)
from headscarp.io.clients import s3_client

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from zarr.abc.store import Store as ZarrStore

JSON_TYPE = "application/json"
BINARY_TYPE = "application/octet-stream"


def open_store(url: str | Path) -> Store:
    """A store for a folder, a `file://` URL or an `s3://bucket/prefix` URL.

    S3 credentials and endpoint come from the standard AWS_* environment variables.

    Raises:
        InvalidInput: the URL has another scheme.
    """
    parsed = urlparse(str(url))
    if parsed.scheme == "s3":
        return S3Store(parsed.netloc, parsed.path.strip("/"))
    if parsed.scheme == "file":
        return LocalStore(Path(unquote(parsed.path)))
    if parsed.scheme == "":
        return LocalStore(Path(url))
    raise InvalidInput(f"store {url}: expected a folder, file:// or s3:// URL, found scheme {parsed.scheme!r}")


def checked_key(key: str) -> str:
    """The key itself; InvalidInput if it is absolute or climbs out of the store."""
    path = PurePosixPath(key)
    if not key or path.is_absolute() or ".." in path.parts or str(path) != key:
        raise InvalidInput(f"store key {key!r}: expected a relative path without '..'")
    return key


def checked_prefix(prefix: str) -> str:
    """The prefix itself; InvalidInput if it is absolute or climbs out of the store."""
    if prefix.startswith("/") or ".." in prefix.split("/"):
        raise InvalidInput(f"store prefix {prefix!r}: expected a relative prefix without '..'")
    return prefix


class Store(ABC):
    """Objects under one URL."""

    url: str

    @abstractmethod
    def get(self, key: str) -> tuple[bytes, str]:
        """Content and version tag. Raises NotFound."""

    @abstractmethod
    def put(self, key: str, data: bytes, content_type: str = BINARY_TYPE) -> str:
        """Write unconditionally; returns the version tag."""

    @abstractmethod
    def create(self, key: str, data: bytes, content_type: str = JSON_TYPE) -> str:
        """Write only where nothing is. Raises AlreadyExists."""

    @abstractmethod
    def replace(self, key: str, data: bytes, tag: str, content_type: str = JSON_TYPE) -> str:
        """Write only over the version `tag`. Raises Conflict when the object is newer or gone."""

    @abstractmethod
    def put_file(self, key: str, path: Path, content_type: str = BINARY_TYPE) -> None:
        """Upload a file without reading it into memory."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[str]:
        """Keys that begin with `prefix`, sorted."""

    @abstractmethod
    def delete(self, prefix: str) -> None:
        """Remove the object `prefix` and everything below `prefix/`."""

    @abstractmethod
    def address(self, key: str) -> str:
        """URL of an object for other software: a path or an s3:// URL."""

    @abstractmethod
    def zarr(self, key: str, *, read_only: bool = False) -> ZarrStore:
        """A Zarr store at `key`."""

    def read(self, key: str) -> bytes:
        """Content alone. Raises NotFound."""
        return self.get(key)[0]

    def part(self, key: str, start: int, length: int, *, tag: str | None = None) -> tuple[bytes, str]:
        """Some bytes of an object, and a version tag for further parts of it.

        Args:
            key: of the object.
            start: first byte; -`length` for the last ones.
            length: in bytes, more than 0; fewer come where the object ends before.
            tag: of an earlier part, which must be of the same version.

        Raises:
            NotFound: nothing is there.
            Conflict: the object is not of version `tag` any more.
        """
        data, found = self.get(key)
        if tag not in {None, found}:
            raise Conflict(f"store {self.url}: {key!r} changed meanwhile")
        return data[start:][:length], found

    def exists(self, key: str) -> bool:
        """Whether an object stands at `key`."""
        try:
            self.get(key)
        except NotFound:
            return False
        return True


class LocalStore(Store):
    """A folder. Conditional writes hold a lock on one file, so they hold across processes of one machine."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.url = self.root.as_uri()

    def _path(self, key: str) -> Path:
        return self.root / checked_key(key)

    def get(self, key: str) -> tuple[bytes, str]:
        try:
            data = self._path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise NotFound(f"store {self.url}: no object {key!r}") from None
        except OSError as error:
            raise StoreError(f"store {self.url}: cannot read {key!r}: {error.strerror}") from error
        return data, _digest(data)

    def part(self, key: str, start: int, length: int, *, tag: str | None = None) -> tuple[bytes, str]:
        try:
            with self._path(key).open("rb") as file:
                status = os.fstat(file.fileno())
                if tag not in {None, _version(status)}:
                    raise Conflict(f"store {self.url}: {key!r} changed meanwhile")
                file.seek(max(status.st_size + start, 0) if start < 0 else start)
                return file.read(length), _version(status)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise NotFound(f"store {self.url}: no object {key!r}") from None
        except OSError as error:
            raise StoreError(f"store {self.url}: cannot read {key!r}: {error.strerror}") from error

    def put(self, key: str, data: bytes, content_type: str = BINARY_TYPE) -> str:
        with self._writing(key) as temporary:
            temporary.write_bytes(data)
        return _digest(data)

    def create(self, key: str, data: bytes, content_type: str = JSON_TYPE) -> str:
        with self._lock():
            if self._path(key).exists():
                raise AlreadyExists(f"store {self.url}: {key!r} exists")
            return self.put(key, data, content_type)

    def replace(self, key: str, data: bytes, tag: str, content_type: str = JSON_TYPE) -> str:
        with self._lock():
            try:
                current = self.get(key)[1]
            except NotFound:
                raise Conflict(f"store {self.url}: {key!r} is gone") from None
            if current != tag:
                raise Conflict(f"store {self.url}: {key!r} changed meanwhile")
            return self.put(key, data, content_type)

    def put_file(self, key: str, path: Path, content_type: str = BINARY_TYPE) -> None:
        import shutil

        with self._writing(key) as temporary:
            shutil.copyfile(path, temporary)

    def list(self, prefix: str = "") -> Iterator[str]:
        folder = self.root / checked_prefix(prefix).rpartition("/")[0]
        found = (p.relative_to(self.root).as_posix() for p in folder.rglob("*") if p.is_file())
        yield from sorted(
            k for k in found if k.startswith(prefix) and not k.rpartition("/")[2].startswith(".headscarp-")
        )

    def delete(self, prefix: str) -> None:
        import shutil

        path = self._path(prefix)
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except NotADirectoryError:
            return  # a parent is an object, so nothing is below it
        except OSError as error:
            raise StoreError(f"store {self.url}: cannot delete {prefix!r}: {error.strerror}") from error

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def address(self, key: str) -> str:
        return str(self._path(key))

    def zarr(self, key: str, *, read_only: bool = False) -> ZarrStore:
        from zarr.storage import LocalStore as ZarrLocalStore

        return ZarrLocalStore(self._path(key), read_only=read_only)

    @contextlib.contextmanager
    def _writing(self, key: str) -> Iterator[Path]:
        """A temporary path that becomes `key` at the end, durable and at once."""
        path = self._path(key)
        temporary = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".headscarp-")
            os.close(handle)
            temporary = Path(name)
            yield temporary
            temporary.chmod(0o644)
            _flush(temporary)
            temporary.replace(path)
            _flush(path.parent)
        except OSError as error:
            raise StoreError(f"store {self.url}: cannot write {key!r}: {error.strerror}") from error
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.root / ".headscarp-lock", os.O_CREAT | os.O_RDWR, 0o644)
        except OSError as error:
            raise StoreError(f"store {self.url}: cannot lock: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


class S3Store(Store):
    """A prefix of a bucket; conditional writes use If-None-Match and If-Match."""

    def __init__(self, bucket: str, prefix: str = "", client: Any = None) -> None:
        if not bucket:
            raise InvalidInput("store s3://: expected a bucket name")
        self.bucket, self.prefix = bucket, prefix
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._s3 = client

    @property
    def client(self) -> Any:
        """The boto3 client, made on first use from the AWS_* environment."""
        if self._s3 is None:
            self._s3 = s3_client(attempts=5, connect_s=10, read_s=60)
        return self._s3

    def _key(self, key: str) -> str:
        return "/".join(part for part in (self.prefix, checked_key(key)) if part)

    def get(self, key: str) -> tuple[bytes, str]:
        with self._translated(key):
            answer = self.client.get_object(Bucket=self.bucket, Key=self._key(key))
            return answer["Body"].read(), answer["ETag"]

    def part(self, key: str, start: int, length: int, *, tag: str | None = None) -> tuple[bytes, str]:
        span = f"bytes={start}" if start < 0 else f"bytes={start}-{start + length - 1}"
        condition = {} if tag is None else {"IfMatch": tag}
        with self._translated(key, condition):
            answer = self.client.get_object(Bucket=self.bucket, Key=self._key(key), Range=span, **condition)
            return answer["Body"].read(), answer["ETag"]

    def put(self, key: str, data: bytes, content_type: str = BINARY_TYPE) -> str:
        return self._put(key, data, content_type)

    def create(self, key: str, data: bytes, content_type: str = JSON_TYPE) -> str:
        return self._put(key, data, content_type, IfNoneMatch="*")

    def replace(self, key: str, data: bytes, tag: str, content_type: str = JSON_TYPE) -> str:
        return self._put(key, data, content_type, IfMatch=tag)

    def _put(self, key: str, data: bytes, content_type: str, **condition: str) -> str:
        with self._translated(key, condition):
            answer = self.client.put_object(
                Bucket=self.bucket, Key=self._key(key), Body=data, ContentType=content_type, **condition
            )
            return str(answer["ETag"])

    def put_file(self, key: str, path: Path, content_type: str = BINARY_TYPE) -> None:
        with self._translated(key):
            self.client.upload_file(str(path), self.bucket, self._key(key), ExtraArgs={"ContentType": content_type})

    def list(self, prefix: str = "") -> Iterator[str]:
        base = f"{self.prefix}/" if self.prefix else ""
        full = base + checked_prefix(prefix)
        with self._translated(prefix or "/"):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=full)
            found = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        # Folder markers end with "/"; and not every server sorts "a-b" before "a/b" as S3 does.
        yield from sorted(key.removeprefix(base) for key in found if not key.endswith("/"))

    def delete(self, prefix: str) -> None:
        doomed = [prefix, *self.list(prefix + "/")]
        with self._translated(prefix):
            for start in range(0, len(doomed), 1000):
                objects = [{"Key": self._key(key)} for key in doomed[start : start + 1000]]
                answer = self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})
                for failed in answer.get("Errors", ()):
                    raise StoreError(f"store {self.url}: cannot delete {failed.get('Key')!r}: {failed.get('Code')}")

    def exists(self, key: str) -> bool:
        try:
            with self._translated(key):
                self.client.head_object(Bucket=self.bucket, Key=self._key(key))
        except NotFound:
            return False
        return True

    def address(self, key: str) -> str:
        return f"s3://{self.bucket}/{self._key(key)}"

    def zarr(self, key: str, *, read_only: bool = False) -> ZarrStore:
        from zarr.storage import FsspecStore

        return FsspecStore.from_url(self.address(key), read_only=read_only)

    @contextlib.contextmanager
    def _translated(self, key: str, condition: Mapping[str, str] = MappingProxyType({})) -> Iterator[None]:
        """Errors of boto3 and botocore as ours."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
        from botocore.exceptions import ConnectionError as NoConnection

        where = f"store {self.url}: {key!r}"
        try:
            yield
        except ClientError as error:
            raise _refusal(where, error, condition) from error
        except (NoConnection, HTTPClientError, IncompleteReadError) as error:
            raise StoreUnavailable(f"{where}: {error}") from error
        except BotoCoreError as error:
            raise StoreError(f"{where}: {error}") from error
        except Boto3Error as error:  # managed uploads wrap what the server answered
            if isinstance(error.__context__, ClientError):
                raise _refusal(where, error.__context__, condition) from error
            raise StoreError(f"{where}: {error}") from error


def _refusal(where: str, error: ClientError, condition: Mapping[str, str]) -> HeadscarpError:
    """What an S3 server's error means for the caller."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    absent = code in {"NoSuchKey", "404", "NotFound"}
    if status in {409, 412} or (absent and "IfMatch" in condition):
        kind = AlreadyExists if "IfNoneMatch" in condition else Conflict
        return kind(f"{where}: exists or changed meanwhile")
    if absent:
        return NotFound(f"{where}: no such object")
    if status >= 500 or status == 429:
        return StoreUnavailable(f"{where}: {code or status}")
    return StoreError(f"{where}: refused with {code or status}: {error}")


def _flush(path: Path) -> None:
    """Have the file's content, or the folder's entries, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _version(status: os.stat_result) -> str:
    """Of a file that is replaced, never written over."""
    return f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"
