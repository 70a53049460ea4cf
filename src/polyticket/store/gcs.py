"""A store in Google Cloud Storage."""

import math
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.exceptions import JSONDecodeError

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, written_beside
from polyticket.store.base import (
    ABSENT,
    ConflictError,
    Stat,
    bucket_and_prefix,
    bytes_stat,
    checked_name,
    file_stat,
    joined,
    url_of,
)
from polyticket.store.gcs_answers import EMULATOR, PROJECT, explained
from polyticket.store.transfers import RANGES, DamagedError, disk, fetch_in_ranges, resent

_LIBRARY = (api.GoogleAPIError, auth.GoogleAuthError, DataCorruption, InvalidResponse)

# What a request sends of a long file, and an uploading thread holds in memory, about twice. On a line of 1 Mbit/s it
# takes a minute, and so much is sent again when the line breaks. The service wants a multiple of 256 KiB.
CHUNK = 8 * 1024 * 1024
# Seconds to connect or to send a piece, and seconds without a byte from the service.
TIMEOUT = (30.0, 60.0)
# Opening asks one small question, so a wrong address is known soon.
OPENING_DEADLINE = 30.0
# How often the requests for one file are tried again, all together.
TRIES = 16

_BUCKET = r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"


def open_rest(rest: str, *, deadline: float) -> "GcsStore":
    """Open the store of a ``gs://`` URL from what follows the slashes."""
    bucket, prefix = bucket_and_prefix("gs", rest, _BUCKET)
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
        self._deadline = deadline
        self._pool = ThreadPoolExecutor(RANGES)  # its threads begin with the first large file
        with self._told(""):
            client = storage.Client(project=None, client_options=_endpoint())
            self._bucket = client.bucket(bucket, user_project=os.environ.get(PROJECT) or None)
            list(self._bucket.list_blobs(max_results=1, prefix=self._prefix, **self._limits(OPENING_DEADLINE)))

    def names(self, prefix: str = "") -> list[str]:
        """See `Store.names`."""
        with self._told(prefix):
            found = self._bucket.list_blobs(
                prefix=self._prefix + prefix, fields="items(name),nextPageToken", **self._limits()
            )
            # A console's "new folder" is an empty object whose name ends with a slash: no file.
            return sorted(blob.name[len(self._prefix) :] for blob in found if not blob.name.endswith("/"))

    def stat(self, name: str) -> Stat | None:
        """See `Store.stat`; the service keeps size and checksum, and its generations are the versions."""
        with self._told(name):
            blob = self._bucket.get_blob(self._key(name), **self._limits())
            return None if blob is None else _stat(blob)

    def put(self, local_path: Pathlike, name: str, *, over: str | None = None) -> Stat:
        """See `Store.put`; files longer than `CHUNK` bytes are sent in chunks that are retried one by one."""

        def send() -> Stat:
            """Send the file once; bytes that arrive damaged are withdrawn before it is sent anew."""
            nonlocal over
            with disk(local_path):
                stat = file_stat(local_path)
            blob = self._bucket.blob(self._key(name), chunk_size=CHUNK if stat.size > CHUNK else None)
            checked = {"checksum": "crc32c", "crc32c_checksum_value": stat.crc32c}
            blob.upload_from_filename(local_path, **checked, **_condition(over), **self._limits())
            if _stat(blob) != stat:
                over = self._withdrawn(blob, over)
                raise DamagedError
            return _stat(blob)

        with self._told(name):
            return resent(send, _is_to_be_sent_anew)

    def get(self, name: str, local_path: Pathlike) -> None:
        """See `Store.get`; a large file is fetched in ranges, several at a time, all of one generation."""

        def fetch() -> None:
            """Fetch the file's present generation as a whole."""
            found = self._bucket.get_blob(self._key(name), **self._limits())
            if found is None:
                raise PolyticketError("no such file", where=url_of(self, name))
            # What is found names the address of its bytes, which may not be reached as this store is.
            blob = self._bucket.blob(self._key(name), generation=found.generation)

            def part(start: int, end: int) -> bytes:
                return blob.download_as_bytes(start=start, end=end - 1, checksum=None, **self._limits())

            fetch_in_ranges(place, found.size or 0, part, self._pool)
            if file_stat(place) != _stat(found):
                raise DamagedError

        with self._told(name), disk(local_path), written_beside(local_path) as place:
            resent(fetch, _is_to_be_fetched_anew)

    def read(self, name: str) -> bytes:
        """See `Store.read`."""

        def fetch() -> bytes:
            return self._bucket.blob(self._key(name)).download_as_bytes(checksum="crc32c", **self._limits())

        with self._told(name):
            return resent(fetch, lambda error: isinstance(error, DataCorruption))

    def write(self, name: str, data: bytes, *, over: str | None = None) -> Stat:
        """See `Store.write`."""

        def send() -> Stat:
            """Send the file once; bytes that arrive damaged are withdrawn before it is sent anew."""
            nonlocal over
            blob, stat = self._bucket.blob(self._key(name)), bytes_stat(data)
            checked = {"checksum": "crc32c", "crc32c_checksum_value": stat.crc32c}
            blob.upload_from_string(data, **checked, **_condition(over), **self._limits())
            if _stat(blob) != stat:
                over = self._withdrawn(blob, over)
                raise DamagedError
            return _stat(blob)

        with self._told(name):
            return resent(send, _is_to_be_sent_anew)

    def delete(self, name: str, *, over: str | None = None) -> None:
        """See `Store.delete`."""
        with self._told(name), suppress(api.NotFound):
            self._bucket.blob(self._key(name)).delete(**_condition(over), **self._limits())

    def _key(self, name: str) -> str:
        return self._prefix + checked_name(name, where=self.url)

    def _withdrawn(self, blob: storage.Blob, over: str | None) -> str | None:
        """Remove what has arrived damaged, so that nobody reads it; gives the version that the next try may replace."""
        if blob.generation:
            with suppress(api.GoogleAPIError):
                blob.delete(if_generation_match=blob.generation, **self._limits())
        return over and ABSENT

    def _limits(self, most: float = math.inf) -> dict[str, Any]:
        """Arguments of the library's methods, for the requests of one call, which are tried for some seconds."""
        deadline = min(self._deadline, most)
        half = max(deadline / 2, 1.0)  # there is time for another try
        retry = DEFAULT_RETRY.with_timeout(deadline).with_delay(initial=0.25, multiplier=2.0, maximum=30.0)
        return {
            "timeout": (min(TIMEOUT[0], half), min(TIMEOUT[1], half)),
            "retry": retry.with_predicate(_FewTimes()),
        }

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Turn the library's exceptions into ours.

        What the service says may hold upload sessions or tokens: `explained` leaves them out, no log has a traceback.
        """
        try:
            yield
        except api.PreconditionFailed as error:
            what, expected = explained(error, at_bucket=not name)
            raise ConflictError(what, where=url_of(self, name), expected=expected) from None
        except (*_LIBRARY, DamagedError, OSError, ValueError, AttributeError) as error:
            cause = error.cause if isinstance(error, api.RetryError) and error.cause else error
            what, expected = explained(cause, at_bucket=not name)
            remote = isinstance(error, (*_LIBRARY, requests.RequestException))
            raise PolyticketError(what, where=url_of(self, name), expected=expected) from (None if remote else error)


class _FewTimes:
    """Whether a failure is one to try again, and one of the first `TRIES`."""

    def __init__(self) -> None:
        self._failures = 0

    def __call__(self, error: BaseException) -> bool:
        self._failures += 1
        passing = isinstance(error, JSONDecodeError) or DEFAULT_RETRY._predicate(error)
        return passing and self._failures <= TRIES


def _stat(blob: storage.Blob) -> Stat:
    """The service may omit the size of an empty file."""
    return Stat(blob.size or 0, blob.crc32c or "", str(blob.generation))


def _condition(over: str | None) -> dict[str, int]:
    """The precondition for the generation that is replaced; 0 stands for none."""
    return {} if over is None else {"if_generation_match": 0 if over == ABSENT else int(over)}


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


def _is_to_be_sent_anew(error: BaseException) -> bool:
    """Whether a file's upload session is gone or out of step, or its bytes arrived damaged."""
    if isinstance(error, api.BadRequest):
        return bool(re.search(r"crc32c|checksum|md5|hash", str(error.message), re.IGNORECASE))
    lost = isinstance(error, api.GoogleAPICallError) and error.code in (308, 410, 416)
    # The library raises ValueError when the service kept only a part of a chunk.
    return lost or isinstance(error, DamagedError | DataCorruption | ValueError)


def _is_to_be_fetched_anew(error: BaseException) -> bool:
    """Whether a file arrived damaged, or its generation was replaced while it was fetched."""
    return isinstance(error, DamagedError | DataCorruption | api.NotFound)
