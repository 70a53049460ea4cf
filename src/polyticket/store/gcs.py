"""A store in Google Cloud Storage, and its errors in one line with a remedy."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.exceptions import ChunkedEncodingError, JSONDecodeError
from tenacity import Retrying, retry_if_exception, stop_after_attempt

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, written_beside
from polyticket.store.base import (
    ABSENT,
    URL_FORMS,
    ConflictError,
    Stat,
    bytes_stat,
    checked_name,
    file_stat,
    joined,
    url_of,
)
from polyticket.store.transfers import RANGES, RESENT, DamagedError, disk, fetch_in_ranges

PROJECT = "GOOGLE_CLOUD_QUOTA_PROJECT"
EMULATOR = "STORAGE_EMULATOR_HOST"
LONGEST = 200

_LOGIN = "`gcloud auth application-default login`, GOOGLE_APPLICATION_CREDENTIALS, or a service account on the host"
_ROLE = "the role Storage Object User on the bucket"
_BILLED = f"a project in config store_options.user_project, or in the variable {PROJECT}"
_LATER = "to be tried again later"
_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
_LIBRARY = (api.GoogleAPIError, auth.GoogleAuthError, DataCorruption, InvalidResponse)

_Out = TypeVar("_Out")


class Known(NamedTuple):
    """A reason: a pattern of the service's status, reason and message; what is wrong; what would be right."""

    pattern: str
    what: str
    expected: str | None


# The first that matches counts; the reasons are those of the service's JSON interface.
_ANSWERS = (
    Known(
        "userProjectMissing|RequesterPays|requester pays|quota project", "the requester pays for this bucket", _BILLED
    ),
    Known(
        r"userProject(Invalid|Inconsistent|AccessDenied)|user project\b.*\binvalid|serviceusage\.services\.use",
        "the project that is to pay is refused",
        f"{_BILLED}, in which these credentials have the role Service Usage Consumer",
    ),
    Known(
        "accountDisabled|AccountProblem|billing|delinquent",
        "billing is disabled for the project that pays",
        "an active billing account",
    ),
    Known(
        "vpcServiceControls|SECURITY_POLICY_VIOLATED|prohibited by organi[sz]ation",
        "VPC Service Controls forbid the request",
        "a host and a project within the bucket's perimeter, or an ingress rule for them",
    ),
    Known(
        "orgPolicy|constraints/|public access prevention|countryBlocked",
        "a policy of the organisation forbids the request",
        "what its administrators allow",
    ),
    Known(
        "retention",
        "the bucket's retention policy forbids to replace or remove the file",
        "a bucket without one: checkpoints are replaced and removed",
    ),
    Known(r"\bhold\b|ActiveHold|objectHeld", "the file is under a hold", "the hold to be released"),
    Known(
        "uniform bucket-level|legacy ACL|use ACL",
        "the bucket has uniform access: lists of single files' rights do not count there",
        _ROLE,
    ),
    Known(
        "kms|customer.?(managed|supplied)?.?encryption|encryption key",
        "the bucket's encryption key cannot be used",
        "an enabled key that the service may use",
    ),
    Known(
        r"\bscopes?\b|insufficientPermissions",
        "the credentials' scope is too narrow",
        "a VM or a login with the scope cloud-platform",
    ),
    Known(
        "accessNotConfigured|SERVICE_DISABLED|API has not been used",
        "Cloud Storage is not enabled in the project",
        "`gcloud services enable storage.googleapis.com`",
    ),
    Known(
        "^429|rateLimitExceeded|usageLimits|rate limit",
        "too many requests for this bucket or file",
        "fewer jobs at a time, or to be tried again later",
    ),
    Known("quota|dailyLimit", "a quota of the project is used up", "a higher one, or to be tried again later"),
    Known("invalid bucket name|bucket name.*invalid", "the service refuses the bucket's name", "that of a bucket made"),
    Known(
        r"(unknown|invalid) project|project\b.{0,80}\b(not found|not exist|deleted)", "no such project", "one there is"
    ),
    Known("^404.*bucket.*not exist|^404 noSuchBucket", "no such bucket", "a bucket made beforehand"),
    Known("^401.*expired", "the credentials have expired", _LOGIN),
    Known("^401", "the credentials were refused", _LOGIN),
    Known("^409", "another request changed the same thing at the same time (409)", _LATER),
    Known("^412", "somebody else has changed the file meanwhile (412)", _LATER),
)
_CREDENTIALS = (
    Known("reauth|invalid_rapt", "the credentials must be renewed", "`gcloud auth application-default login`"),
    Known(r"\biat\b|\bexp\b|short-lived|clock", "the credentials are refused for their time", "a right clock here"),
    Known("jwt signature", "the key of the service account is not valid any more", "a new key"),
    Known("account not found|account.{0,40}(deleted|disabled)", "the service account is gone", "another one"),
    Known("invalid_grant|expired|revoked", "the credentials have expired or were revoked", _LOGIN),
    Known("metadata", "this host's service account gives no token", "a service account on the host, or a login"),
)


def explained(error: Exception, *, at_bucket: bool) -> tuple[str, str | None]:
    """What a failure is, and what would be right, without secrets.

    Args:
        error: What the client library or the network raised.
        at_bucket: Whether the bucket was asked for, not a file.
    """
    match error:
        case ChunkedEncodingError():  # something came, but not all of it
            return "the connection broke again and again in the middle of an answer (HTTP status 200)", _LATER
        case requests.ConnectionError(args=[reason, *_]) if type(reason).__name__ == "ReadTimeoutError":
            return "an answer stopped in its middle again and again (HTTP status 200)", _LATER
        case InvalidResponse():
            return explained(api.from_http_response(error.response), at_bucket=at_bucket)
        case auth.TransportError() | requests.ConnectionError() | requests.Timeout() | ConnectionError():
            return "Google Cloud Storage cannot be reached", f"a network, and a right {EMULATOR} if one is set"
        case auth.DefaultCredentialsError():
            return _no_credentials(), _LOGIN
        case auth.GoogleAuthError():
            return _known(_CREDENTIALS, str(error)) or ("the credentials were refused", _LOGIN)
        case DataCorruption() | DamagedError() | JSONDecodeError():
            return "damaged in transfer: the checksum differs", None
        case api.GoogleAPICallError(code=int(status)):
            return _refused(int(status), *_said(error), at_bucket=at_bucket)
        case AttributeError():  # of the library, where an answer has another form than the service's
            return "the answer is not one of Google Cloud Storage", "no proxy or portal that answers in its place"
        case OSError() if error.strerror:
            return error.strerror + (f": {error.filename}" if error.filename else ""), None
    return f"the transfer failed ({type(error).__name__})", None


def shown(message: str) -> str:
    """A text of the service as a message may have it: one line of bounded length without anything like a secret."""
    line = re.sub(r"(\w+://[^\s?#\"']*)[?#][^\s\"']*", r"\1", " ".join(message.split()))
    line = " ".join("…" if _is_secret(word) else word for word in line.split(" "))
    if len(line) > LONGEST:
        line = line[: LONGEST - 1] + "…"
    return line.rstrip(". ") if line.strip("…. ") else ""


def _is_secret(word: str) -> bool:
    if re.search(r"token|secret|passw|signature|credential|bearer|upload_id|api_?key", word, re.IGNORECASE):
        return True
    return any(
        re.search(r"\d", run) and re.search("[A-Za-z]", run) for run in re.findall(r"[A-Za-z0-9_+/=-]{20,}", word)
    )


def _refused(status: int, reason: str, message: str, *, at_bucket: bool) -> tuple[str, str | None]:
    if known := _known(_ANSWERS, f"{status} {reason} {message}"):
        return known
    if status == api.NotFound.code:
        return ("no such bucket", "a bucket made beforehand") if at_bucket else ("no such file", None)
    text = f": {shown(message)}" if shown(message) else ""
    if status == api.Forbidden.code:
        return f"no permission (403){text}", _ROLE
    failed = "failed" if status in (408, 499) or status >= api.InternalServerError.code else "refused the request"
    return f"the service {failed} with HTTP status {status}{text}", _LATER if failed == "failed" else None


def _said(error: api.GoogleAPICallError) -> tuple[str, str]:
    """The reason and the message in the body of the service's answer; empty where it says none."""
    response = error.response
    if not isinstance(response, requests.Response):
        return "", str(error.message)
    try:
        found = response.json()["error"]
        reasons = [str(one.get("reason", "")) for one in found.get("errors", []) if isinstance(one, Mapping)]
        return " ".join([*reasons, str(found.get("status", ""))]).strip(), str(found.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", re.sub(r"<[^>]*>", " ", response.text)


def _known(table: tuple[Known, ...], text: str) -> tuple[str, str | None] | None:
    line = " ".join(text.split())
    found = (known for known in table if re.search(known.pattern, line, re.IGNORECASE))
    return next(((known.what, known.expected) for known in found), None)


def _no_credentials() -> str:
    path = os.environ.get(_FILE)
    if path and not os.path.isfile(path):
        return f"no usable credentials for Google Cloud Storage: {_FILE} is {path!r}, which is no file"
    return "no usable credentials for Google Cloud Storage"


# What a request sends of a long file, and an uploading thread holds in memory, about twice. On a line of 1 Mbit/s it
# takes a minute, and so much is sent again when the line breaks. The service wants a multiple of 256 KiB.
CHUNK = 8 * 1024 * 1024
# Seconds to connect or to send a piece, and seconds without a byte from the service.
TIMEOUT = (30.0, 60.0)
# Opening asks one small question, so a wrong address is known soon.
OPENING_DEADLINE = 30.0
# How often the requests for one file are tried again, all together.
TRIES = 16

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
        half = max(deadline / 2, 1.0)  # there is time for another try
        self._timeout = (min(TIMEOUT[0], half), min(TIMEOUT[1], half))
        self._pool = ThreadPoolExecutor(RANGES)  # its threads begin with the first large file
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
        """See `Store.stat`; the service keeps size and checksum, and its generations are the versions."""
        with self._told(name):
            blob = self._bucket.get_blob(self._key(name), **self._limits())
            return None if blob is None else _stat(blob)

    def put(self, local_path: Pathlike, name: str, *, over: str | None = None) -> Stat:
        """See `Store.put`; files longer than `CHUNK` bytes are sent in chunks that are retried one by one."""

        def send() -> Stat:
            with disk(local_path):
                stat = file_stat(local_path)
            blob = self._bucket.blob(self._key(name), chunk_size=CHUNK if stat.size > CHUNK else None)
            checked = {"checksum": "crc32c", "crc32c_checksum_value": stat.crc32c}
            blob.upload_from_filename(local_path, **checked, **_condition(over), **self._limits())
            return _arrived(blob, stat)

        with self._told(name):
            return self._repeated(send, _is_to_be_sent_anew)

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
            self._repeated(fetch, _is_to_be_fetched_anew)

    def read(self, name: str) -> bytes:
        """See `Store.read`."""

        def fetch() -> bytes:
            return self._bucket.blob(self._key(name)).download_as_bytes(checksum="crc32c", **self._limits())

        with self._told(name):
            return self._repeated(fetch, lambda error: isinstance(error, DataCorruption))

    def write(self, name: str, data: bytes, *, over: str | None = None) -> Stat:
        """See `Store.write`."""

        def send() -> Stat:
            blob, stat = self._bucket.blob(self._key(name)), bytes_stat(data)
            checked = {"checksum": "crc32c", "crc32c_checksum_value": stat.crc32c}
            blob.upload_from_string(data, **checked, **_condition(over), **self._limits())
            return _arrived(blob, stat)

        with self._told(name):
            return self._repeated(send, _is_to_be_sent_anew)

    def delete(self, name: str, *, over: str | None = None) -> None:
        """See `Store.delete`."""
        with self._told(name), suppress(api.NotFound):
            self._bucket.blob(self._key(name)).delete(**_condition(over), **self._limits())

    def _repeated(self, transfer: Callable[[], _Out], again: Callable[[BaseException], bool]) -> _Out:
        return Retrying(retry=retry_if_exception(again), stop=stop_after_attempt(RESENT), reraise=True)(transfer)

    def _key(self, name: str) -> str:
        return self._prefix + checked_name(name, where=self.url)

    def _limits(self) -> dict[str, Any]:
        """Arguments of the library's methods, for the requests of one call."""
        return {"timeout": self._timeout, "retry": self._retry.with_predicate(_FewTimes())}

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


def _arrived(blob: storage.Blob, sent: Stat) -> Stat:
    if _stat(blob) != sent:
        raise DamagedError
    return _stat(blob)


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
