"""A store in S3, of Amazon or of another service that speaks as it does."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import google_crc32c
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import create_loader
from botocore.session import get_session
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, written_beside
from polyticket.store.base import (
    ABSENT,
    ConflictError,
    Stat,
    bucket_and_prefix,
    bytes_stat,
    checked_name,
    crc32c_text,
    file_stat,
    joined,
    url_of,
)
from polyticket.store.s3_answers import LIBRARY, explained, is_passing, said
from polyticket.store.transfers import RANGE, RANGES, WORKERS, DamagedError, disk, fetch_in_ranges, in_ranges, resent

# A longer file is sent in parts of so many bytes, or of more where that makes more parts than the service takes.
PART = 8 * 1024 * 1024
PARTS = 10_000
# Seconds to connect, and seconds without a byte from the service.
TIMEOUT = (30.0, 60.0)
# Opening asks one small question, so a wrong address is known soon.
OPENING_DEADLINE = 30.0
# How often one request is sent.
TRIES = 16

CRC32C = "crc32c"
"""The key of the metadata of an object under which its CRC-32C stands, as `Stat` holds it."""

_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_PAUSES = wait_random_exponential(multiplier=0.25, max=30.0)
_LOADER = create_loader()  # it keeps the descriptions of the service, which take a quarter of a second to read
_CHANGED = "somebody else has changed the file meanwhile"


def open_rest(rest: str, *, deadline: float) -> "S3Store":
    """Open the store of an ``s3://`` URL from what follows the slashes."""
    return S3Store(*bucket_and_prefix("s3", rest, _BUCKET), deadline=deadline)


class S3Store:
    """A prefix of a bucket as a `Store`. The versions are the entity tags, so the same bytes may have the same one.

    Every request is signed with the SHA-256 of its body, with which the service compares what arrives. Credentials,
    region and endpoint are found where the tools of AWS look for them.

    Args:
        bucket: The bucket's name. That it can be listed is asked at once.
        prefix: What all object names begin with, without slashes at its ends; may be empty.
        deadline: For how many seconds a failing request is tried again, with growing pauses.

    Raises:
        PolyticketError: No credentials; or the bucket is missing, refused or out of reach.
    """

    def __init__(self, bucket: str, prefix: str = "", *, deadline: float) -> None:
        self.url = f"s3://{joined(bucket, prefix)}"
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        self._pool = ThreadPoolExecutor(RANGES)  # its threads begin with the first large file
        with self._told(""):
            session = get_session()
            session.register_component("data_loader", _LOADER)
            self._deadline = min(deadline, OPENING_DEADLINE)
            self._client = session.create_client("s3", config=_config(self._deadline))
            self._page(MaxKeys=1)
            self._deadline = deadline
            self._client = session.create_client("s3", config=_config(deadline))

    def names(self, prefix: str = "") -> list[str]:
        """See `Store.names`."""
        found: list[str] = []
        asked: dict[str, Any] = {"Prefix": self._prefix + prefix}
        with self._told(prefix):
            while asked:
                page, goes_on = self._page(**asked)
                found += (one["Key"] for one in page.get("Contents", ()))
                asked = {**asked, "ContinuationToken": page["NextContinuationToken"]} if goes_on else {}
        # A console's "new folder" is an empty object whose name ends with a slash: no file.
        return sorted(key[len(self._prefix) :] for key in found if not key.endswith("/"))

    def stat(self, name: str) -> Stat | None:
        """See `Store.stat`. The checksum of a file that was not stored by a store is computed from its bytes."""
        with self._told(name):
            return resent(lambda: self._found(self._key(name)), _is_to_be_fetched_anew)

    def put(self, local_path: Pathlike, name: str, *, over: str | None = None) -> Stat:
        """See `Store.put`; files longer than `PART` bytes are sent in parts, several at a time."""

        def send() -> Stat:
            with disk(local_path):
                stat = file_stat(local_path)
                data = None if stat.size > PART else Path(local_path).read_bytes()
            if data is None:
                return self._sent_in_parts(Path(local_path), self._key(name), stat, over)
            return self._sent(data, self._key(name), over)

        with self._told(name, over):
            return resent(send, _is_to_be_sent_anew)

    def get(self, name: str, local_path: Pathlike) -> None:
        """See `Store.get`; a large file is fetched in ranges, several at a time, all of one version."""

        def fetch() -> None:
            """Fetch the file's present version as a whole."""
            key = self._key(name)
            found = self._found(key)
            if found is None:
                raise PolyticketError("no such file", where=url_of(self, name))
            fetch_in_ranges(place, found.size, self._part_of(key, found.version), self._pool)
            if file_stat(place) != found:
                raise DamagedError

        with self._told(name), disk(local_path), written_beside(local_path) as place:
            resent(fetch, _is_to_be_fetched_anew)

    def read(self, name: str) -> bytes:
        """See `Store.read`."""

        def fetch() -> bytes:
            key = self._key(name)
            answer = self._ask("get_object", Key=key)
            data: bytes = answer["Body"]
            expected = Stat(len(data), crc) if (crc := answer["Metadata"].get(CRC32C)) else self._found(key)
            if bytes_stat(data) != expected:
                raise DamagedError
            return data

        with self._told(name):
            return resent(fetch, lambda error: isinstance(error, DamagedError))

    def write(self, name: str, data: bytes, *, over: str | None = None) -> Stat:
        """See `Store.write`."""
        with self._told(name, over):
            return self._sent(data, self._key(name), over)

    def delete(self, name: str, *, over: str | None = None) -> None:
        """See `Store.delete`. The version is compared here too: some services do not compare it when they remove."""
        key = self._key(name)
        with self._told(name):
            if over is not None:
                head = self._head(key)
                if head and head["ETag"] != over:
                    raise ConflictError(_CHANGED, where=url_of(self, name))
            with suppress(self._client.exceptions.NoSuchKey):
                self._ask("delete_object", Key=key, **(_condition(over) if over != ABSENT else {}))

    def _sent(self, data: bytes, key: str, over: str | None) -> Stat:
        stat = bytes_stat(data)
        answer = self._ask("put_object", Key=key, Body=data, Metadata={CRC32C: stat.crc32c}, **_condition(over))
        return Stat(stat.size, stat.crc32c, answer["ETag"])

    def _sent_in_parts(self, path: Path, key: str, stat: Stat, over: str | None) -> Stat:
        length = max(PART, -(-stat.size // PARTS))
        begun = self._ask("create_multipart_upload", Key=key, Metadata={CRC32C: stat.crc32c})
        upload: dict[str, Any] = {"Key": key, "UploadId": begun["UploadId"]}

        def send(start: int, end: int) -> dict[str, Any]:
            number = start // length + 1
            with disk(path), path.open("rb") as stream:
                stream.seek(start)
                data = stream.read(end - start)
            return {
                "PartNumber": number,
                "ETag": self._ask("upload_part", PartNumber=number, Body=data, **upload)["ETag"],
            }

        try:
            parts = in_ranges(stat.size, length, send, self._pool)
            with disk(path):
                if file_stat(path) != stat:  # it changed while it was sent
                    raise DamagedError
            named = {**upload, "MultipartUpload": {"Parts": parts}}
            answer = self._ask("complete_multipart_upload", **named, **_condition(over))
        except BaseException:
            with suppress(*LIBRARY):
                self._ask("abort_multipart_upload", tries=3, **upload)
            raise
        return Stat(stat.size, stat.crc32c, answer["ETag"])

    def _found(self, key: str) -> Stat | None:
        head = self._head(key)
        if head is None:
            return None
        size, version = head["ContentLength"], head["ETag"]
        return Stat(size, head["Metadata"].get(CRC32C) or self._computed(key, size, version), version)

    def _head(self, key: str) -> dict[str, Any] | None:
        try:
            return self._ask("head_object", Key=key)
        except ClientError as error:
            if said(error)[0] == 404:
                return None
            self._page(MaxKeys=1)  # an answer without a body gives no reason, but that of another question may
            raise

    def _computed(self, key: str, size: int, version: str) -> str:
        """The checksum of an object that was not stored by a store: of the bytes that it has."""
        checksum, part = google_crc32c.Checksum(), self._part_of(key, version)
        for start in range(0, size, RANGE):
            end = min(start + RANGE, size)
            data = part(start, end)
            if len(data) != end - start:
                raise DamagedError
            checksum.update(data)
        return crc32c_text(checksum)

    def _part_of(self, key: str, version: str) -> Callable[[int, int], bytes]:
        def part(start: int, end: int) -> bytes:
            return self._ask("get_object", Key=key, IfMatch=version, Range=f"bytes={start}-{end - 1}")["Body"]

        return part

    def _page(self, **asked: Any) -> tuple[dict[str, Any], bool]:
        """A page of a list, and whether another follows; what does not say so is no answer of the service."""
        page = self._ask("list_objects_v2", **{"Prefix": self._prefix, **asked})
        return page, page["IsTruncated"]

    def _ask(self, operation: str, *, tries: int = TRIES, **arguments: Any) -> dict[str, Any]:
        """What the service answers to a request, which is sent again while its failure may pass."""

        def answer() -> dict[str, Any]:
            found = getattr(self._client, operation)(Bucket=self._bucket, **arguments)
            return {**found, "Body": found["Body"].read()} if "Body" in found else found

        stop = stop_after_attempt(tries) | stop_before_delay(self._deadline)
        return Retrying(retry=retry_if_exception(is_passing), stop=stop, wait=_PAUSES, reraise=True)(answer)

    def _key(self, name: str) -> str:
        return self._prefix + checked_name(name, where=self.url)

    @contextmanager
    def _told(self, name: str, over: str | None = None) -> Iterator[None]:
        """Turn the library's exceptions into ours; what it raises may hold signatures, so no log has a traceback."""
        try:
            yield
        except (*LIBRARY, DamagedError, OSError, ValueError, KeyError, RecursionError) as error:
            what, expected = explained(error, at_bucket=not name)
            status, code, _ = said(error) if isinstance(error, ClientError) else (0, "", "")
            if gone := code == "NoSuchKey" and over is not None:
                what = f"{_CHANGED} (404)"
            kind = ConflictError if gone or status in (409, 412) else PolyticketError
            local = isinstance(error, OSError) and not isinstance(error, LIBRARY)
            raise kind(what, where=url_of(self, name), expected=expected) from (error if local else None)


def _config(deadline: float) -> Config:
    """How a client asks, where a request is tried for some seconds."""
    half = max(deadline / 2, 1.0)  # there is time for another try
    return Config(
        connect_timeout=min(TIMEOUT[0], half),
        read_timeout=min(TIMEOUT[1], half),
        retries={"total_max_attempts": 1, "mode": "standard"},  # `S3Store._ask` tries again
        max_pool_connections=WORKERS + RANGES,
        s3={"payload_signing_enabled": True},
        request_checksum_calculation="when_required",  # not all services know other checksums
        response_checksum_validation="when_required",
    )


def _condition(over: str | None) -> dict[str, Any]:
    """The precondition for the version that is replaced."""
    return {} if over is None else {"IfNoneMatch": "*"} if over == ABSENT else {"IfMatch": over}


def _is_to_be_sent_anew(error: BaseException) -> bool:
    """Whether a file's upload in parts is gone or out of step, or the file changed meanwhile."""
    lost = isinstance(error, ClientError) and said(error)[1] in ("NoSuchUpload", "InvalidPart", "InvalidPartOrder")
    return lost or isinstance(error, DamagedError)


def _is_to_be_fetched_anew(error: BaseException) -> bool:
    """Whether a file arrived damaged, or its version was replaced while it was fetched."""
    return isinstance(error, DamagedError) or (isinstance(error, ClientError) and said(error)[0] in (404, 412))
