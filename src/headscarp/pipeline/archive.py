"""A model bundle as a TorchServe archive. Archives are built where they are served, never committed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from headscarp.core.manifest import CARD_FILE, MANIFEST_FILE, WEIGHTS_FILE, Manifest
from headscarp.errors import BadBundle


@dataclass(frozen=True, slots=True)
class Archive:
    """A .mar file, its digest and the bundle it was made of."""

    path: Path
    sha256: str
    manifest: Manifest

    def verify(self) -> None:
        """Compare the file with its digest; an archive runs as code, so do this before it is loaded.

        Raises:
            BadBundle: the file is absent or is not what was built.
        """
        found = file_sha256(self.path)
        if found != self.sha256:
            raise BadBundle(f"{self.path}: expected sha256 {self.sha256}, found {found}")


def build_archive(bundle: Path, folder: Path, *, handler: Path, config: Path) -> Archive:
    """Pack `bundle` with the handler and its worker configuration into `folder/<name>.mar`.

    Raises:
        BadBundle: a file of the bundle is absent, or the weights are not those of the manifest.
    """
    manifest = Manifest.load(bundle)
    found = file_sha256(bundle / WEIGHTS_FILE)
    if found != manifest.weights_sha256:
        raise BadBundle(f"{bundle / WEIGHTS_FILE}: expected sha256 {manifest.weights_sha256}, found {found}")
    folder.mkdir(parents=True, exist_ok=True)
    _pack(manifest, bundle, folder, handler=handler, config=config)
    path = folder / f"{manifest.name}.mar"
    return Archive(path, file_sha256(path), manifest)


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file. Raises BadBundle if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadBundle(f"{path}: expected a file, found {error.strerror}") from error


def _pack(manifest: Manifest, bundle: Path, folder: Path, *, handler: Path, config: Path) -> None:
    from model_archiver.model_archiver_config import ModelArchiverConfig
    from model_archiver.model_archiver_error import ModelArchiverError
    from model_archiver.model_packaging import generate_model_archive

    extra = [bundle / MANIFEST_FILE, *(path for path in (bundle / CARD_FILE,) if path.exists())]
    options = ModelArchiverConfig(
        model_name=manifest.name,
        version=manifest.version,
        handler=str(handler),
        serialized_file=str(bundle / WEIGHTS_FILE),
        extra_files=",".join(str(path) for path in extra),
        config_file=str(config),
        export_path=str(folder),
        force=True,
    )
    try:
        generate_model_archive(options)
    except ModelArchiverError as error:
        raise BadBundle(f"{bundle}: cannot be archived: {error}") from error
