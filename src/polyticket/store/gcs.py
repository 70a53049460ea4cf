"""A store in a bucket of Google Cloud Storage."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption
from google.cloud.storage.retry import DEFAULT_RETRY
from tenacity import Retrying, retry_if_exception, stop_after_attempt

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, written_beside
from polyticket.store.base import URL_FORMS, Stat, checked_name, joined, url_of
from polyticket.store.gcs_errors import EMULATOR, PROJECT, explained

# What an uploading thread holds in memory, about twice; the service wants a multiple of 256 KiB.
CHUNK = 32 * 1024 * 1024
# Seconds to connect, and seconds without a byte from the service.
TIMEOUT = (10.0, 60.0)
# Opening asks one small question, so a wrong address is known soon.
OPENING_DEADLINE = 30.0

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


def open_rest(rest: str, *, deadline: float) -> "GcsStore":
    """Open the store of a ``gs://`` URL from what follows the slashes."""
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if not _BUCKET.fullmatch(bucket):
        what = f"bad bucket name {bucket!r}" if bucket else "no bucket is named"
        raise PolyticketError(what, where=repr(f"gs://{rest}"), expected=URL_FORMS)
    if prefix:
        checked_name(prefix, where=f"gs://{rest}")
    return GcsStore(bucket, prefix, deadline=deadline)


class GcsStore:
    """A prefix of a bucket as a `Store`.

    The variable STORAGE_EMULATOR_HOST names an emulator to use instead, and GOOGLE_CLOUD_QUOTA_PROJECT the project that
    pays for the requests, which buckets whose requester pays need.

    Args:
        bucket: The bucket's name. That it can be listed is asked at once.
        prefix: What all object names begin with, without slashes at its ends; may be empty.
        deadline: For how many seconds a failing request is tried again, with growing pauses.

    Raises:
        PolyticketError: No credentials; or the bucket is missing, refused or out of reach.
    """

    def __init__(self, bucket: str, prefix: str = "", *, deadline: float) -> None:
        self.url = f"gs://{joined(bucket, prefix)}"
        self._prefix = f"{prefix}/" if prefix else ""
        self._retry = DEFAULT_RETRY.with_timeout(deadline).with_delay(initial=0.25, multiplier=2.0, maximum=30.0)
        self._timeout = (min(TIMEOUT[0], deadline), min(TIMEOUT[1], deadline))
        with self._told(""):
            client = storage.Client(project=None, client_options=_endpoint())
            self._bucket = client.bucket(bucket, user_project=os.environ.get(PROJECT) or None)
            soon = min(deadline, OPENING_DEADLINE)
            limits = {"timeout": (self._timeout[0], soon), "retry": self._retry.with_timeout(soon)}
            list(self._bucket.list_blobs(max_results=1, prefix=self._prefix, **limits))

    def names(self, prefix: str = "") -> list[str]:
        """See `Store.names`."""
        with self._told(prefix):
            found = self._bucket.list_blobs(
                prefix=self._prefix + prefix, fields="items(name),nextPageToken", **self._limits()
            )
            # A console's "new folder" is an empty object whose name ends with a slash: no file.
            return sorted(blob.name[len(self._prefix) :] for blob in found if not blob.name.endswith("/"))

    def stat(self, name: str) -> Stat | None:
        """See `Store.stat`; the service keeps size and checksum."""
        with self._told(name):
            blob = self._bucket.get_blob(self._key(name), **self._limits())
            return None if blob is None else Stat(blob.size, blob.crc32c)

    def put(self, local_path: Pathlike, name: str) -> Stat:
        """See `Store.put`; files longer than `CHUNK` bytes are sent in chunks that are retried one by one."""
        long = _length(local_path) > CHUNK
        restart = Retrying(retry=retry_if_exception(_session_is_lost), stop=stop_after_attempt(3), reraise=True)
        with self._told(name):
            for attempt in restart:
                with attempt:
                    blob = self._bucket.blob(self._key(name), chunk_size=CHUNK if long else None)
                    blob.upload_from_filename(local_path, checksum="crc32c", **self._limits())
            return Stat(blob.size, blob.crc32c)

    def get(self, name: str, local_path: Pathlike) -> None:
        """See `Store.get`."""
        with self._told(name), written_beside(local_path) as place:
            blob = self._bucket.blob(self._key(name))
            blob.download_to_filename(place, checksum="crc32c", **self._limits())

    def read(self, name: str) -> bytes:
        """See `Store.read`."""
        with self._told(name):
            return self._bucket.blob(self._key(name)).download_as_bytes(checksum="crc32c", **self._limits())

    def write(self, name: str, data: bytes) -> None:
        """See `Store.write`."""
        with self._told(name):
            self._bucket.blob(self._key(name)).upload_from_string(data, checksum="crc32c", **self._limits())

    def delete(self, name: str) -> None:
        """See `Store.delete`."""
        with self._told(name), suppress(api.NotFound):
            self._bucket.blob(self._key(name)).delete(**self._limits())

    def _key(self, name: str) -> str:
        return self._prefix + checked_name(name, where=self.url)

    def _limits(self) -> dict:
        return {"timeout": self._timeout, "retry": self._retry}

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Turn the library's exceptions into ours.

        What the service says may hold upload sessions or tokens: `explained` leaves them out, no log has a traceback.
        """
        try:
            yield
        except (api.GoogleAPIError, auth.GoogleAuthError, DataCorruption, OSError, ValueError, AttributeError) as error:
            cause = error.cause if isinstance(error, api.RetryError) and error.cause else error
            what, expected = explained(cause, at_bucket=not name)
            remote = isinstance(error, api.GoogleAPIError | auth.GoogleAuthError | requests.RequestException)
            raise PolyticketError(what, where=url_of(self, name), expected=expected) from (None if remote else error)


def _endpoint() -> dict[str, str] | None:
    """Where STORAGE_EMULATOR_HOST says that the service is; ``http://`` is understood.

    Raises:
        PolyticketError: It is no address.
    """
    host = os.environ.get(EMULATOR, "").strip()
    if not host:
        return None
    url = host if "://" in host else f"http://{host}"
    try:
        parts = urlsplit(url)
        understood = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no number as a port
        understood = False
    if understood:
        return {"api_endpoint": url.rstrip("/")}
    raise PolyticketError(f"{EMULATOR} is {host!r}", where="environment", expected="http://host:port, or host:port")


def _session_is_lost(error: BaseException) -> bool:
    """Whether a file must be sent anew: its upload session is gone or out of step, or the bytes arrived damaged."""
    lost = isinstance(error, api.GoogleAPICallError) and error.code in (308, 410, 416)
    # The library raises ValueError when the service kept only a part of a chunk.
    return lost or isinstance(error, DataCorruption | ValueError)


def _length(path: Pathlike) -> int:
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise PolyticketError(error.strerror or "unreadable", where=path) from error
