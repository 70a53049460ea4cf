"""What Google Cloud Storage and its credentials say when they refuse, in one line: what it is, and what to do."""

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage.exceptions import DataCorruption

PROJECT = "GOOGLE_CLOUD_QUOTA_PROJECT"
EMULATOR = "STORAGE_EMULATOR_HOST"
LONGEST = 200

_LOGIN = "`gcloud auth application-default login`, GOOGLE_APPLICATION_CREDENTIALS, or a service account on the host"
_ROLE = "the role Storage Object User on the bucket"
_BILLED = f"a project in config store_options.user_project, or in the variable {PROJECT}"
_LATER = "to be tried again later"
_FILE = "GOOGLE_APPLICATION_CREDENTIALS"


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
        case auth.TransportError() | requests.ConnectionError() | requests.Timeout() | ConnectionError():
            return "Google Cloud Storage cannot be reached", f"a network, and a right {EMULATOR} if one is set"
        case auth.DefaultCredentialsError():
            return _no_credentials(), _LOGIN
        case auth.GoogleAuthError():
            return _known(_CREDENTIALS, str(error)) or ("the credentials were refused", _LOGIN)
        case DataCorruption():
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
