"""What Google Cloud Storage answers, and what to do then."""

import os
import re
from collections.abc import Mapping

import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from requests.exceptions import ChunkedEncodingError, JSONDecodeError

from polyticket.store.answers import (
    BROKEN,
    DAMAGED,
    LATER,
    MADE,
    PORTAL,
    STOPPED,
    Known,
    Told,
    known,
    otherwise,
    refused,
)
from polyticket.store.transfers import DamagedError

PROJECT = "GOOGLE_CLOUD_QUOTA_PROJECT"
EMULATOR = "STORAGE_EMULATOR_HOST"

_SERVICE = "Google Cloud Storage"
_LOGIN = "`gcloud auth application-default login`, GOOGLE_APPLICATION_CREDENTIALS, or a service account on the host"
_ROLE = "the role Storage Object User on the bucket"
_BILLED = f"a project in config store_options.user_project, or in the variable {PROJECT}"
_FILE = "GOOGLE_APPLICATION_CREDENTIALS"

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
    Known("^404.*bucket.*not exist|^404 noSuchBucket", "no such bucket", MADE),
    Known("^401.*expired", "the credentials have expired", _LOGIN),
    Known("^401", "the credentials were refused", _LOGIN),
    Known("^409", "another request changed the same thing at the same time (409)", LATER),
    Known("^412", "somebody else has changed the file meanwhile (412)", LATER),
)
_CREDENTIALS = (
    Known("reauth|invalid_rapt", "the credentials must be renewed", "`gcloud auth application-default login`"),
    Known(r"\biat\b|\bexp\b|short-lived|clock", "the credentials are refused for their time", "a right clock here"),
    Known("jwt signature", "the key of the service account is not valid any more", "a new key"),
    Known("account not found|account.{0,40}(deleted|disabled)", "the service account is gone", "another one"),
    Known("invalid_grant|expired|revoked", "the credentials have expired or were revoked", _LOGIN),
    Known("metadata", "this host's service account gives no token", "a service account on the host, or a login"),
)


def explained(error: Exception, *, at_bucket: bool) -> Told:
    """What a failure is, and what would be right, without secrets.

    Args:
        error: What the client library or the network raised.
        at_bucket: Whether the bucket was asked for, not a file.
    """
    match error:
        case ChunkedEncodingError():  # something came, but not all of it
            return BROKEN
        case requests.ConnectionError(args=[reason, *_]) if type(reason).__name__ == "ReadTimeoutError":
            return STOPPED
        case InvalidResponse():
            return explained(api.from_http_response(error.response), at_bucket=at_bucket)
        case auth.TransportError() | requests.ConnectionError() | requests.Timeout() | ConnectionError():
            return f"{_SERVICE} cannot be reached", f"a network, and a right {EMULATOR} if one is set"
        case auth.DefaultCredentialsError():
            return _no_credentials(), _LOGIN
        case auth.GoogleAuthError():
            return known(_CREDENTIALS, str(error)) or ("the credentials were refused", _LOGIN)
        case DataCorruption() | DamagedError() | JSONDecodeError():
            return DAMAGED
        case api.GoogleAPICallError(code=int(status)):
            return refused(_ANSWERS, int(status), *_said(error), role=_ROLE, at_bucket=at_bucket)
        case AttributeError():  # of the library, where an answer has another form than the service's
            return f"the answer is not one of {_SERVICE}", PORTAL
    return otherwise(error)


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


def _no_credentials() -> str:
    path = os.environ.get(_FILE)
    if path and not os.path.isfile(path):
        return f"no usable credentials for {_SERVICE}: {_FILE} is {path!r}, which is no file"
    return f"no usable credentials for {_SERVICE}"
