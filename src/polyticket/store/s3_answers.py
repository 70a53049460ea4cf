"""What S3, and services that speak as it does, answer, and what to do then."""

import os
import re

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from polyticket.store.answers import BROKEN, DAMAGED, LATER, MADE, PORTAL, STOPPED, Known, Told, otherwise, refused
from polyticket.store.transfers import DamagedError

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
UNREADABLE = ResponseParserError
LIBRARY = (boto.BotoCoreError, boto.ClientError, UNREADABLE)

_LOGIN = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, `aws sso login`, or a role of the host"
_ROLE = "s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload in it"
_ENDPOINT = f"a right {ENDPOINTS[0]} or {ENDPOINTS[1]} if one is set"
_ELSEWHERE = "the bucket is in another region", "its region in AWS_REGION or in the profile"
_DAMAGED = ("BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch")

# The first that matches counts; the reasons are the service's error codes.
_ANSWERS = (
    Known("RequestTimeTooSkewed|RequestExpired", "the request is refused for its time", "a right clock here"),
    Known("NoSuchBucket", "no such bucket", MADE),
    Known("InvalidBucketName", "the service refuses the bucket's name", "that of a bucket made"),
    Known("ExpiredToken|TokenRefreshRequired", "the credentials have expired", _LOGIN),
    Known(
        "InvalidAccessKeyId|InvalidClientTokenId|UnrecognizedClient|InvalidToken",
        "the service does not know the credentials",
        f"{_LOGIN}, of this service; and {_ENDPOINT}",
    ),
    Known(
        "SignatureDoesNotMatch|InvalidSignature",
        "the service refuses the credentials",
        "the secret key that belongs to the access key",
    ),
    Known(
        "PermanentRedirect|IllegalLocationConstraint|IncorrectEndpoint|AuthorizationHeaderMalformed|^30[127]",
        *_ELSEWHERE,
    ),
    Known(
        "NotSignedUp|OptInRequired|AccountProblem|InvalidPayer|AllAccessDisabled",
        "the account is not active for S3",
        "an account that may use the service",
    ),
    Known(r"requester.?pays", "the requester pays for this bucket", "a bucket whose owner pays"),
    Known(
        r"\bKMS\b|KMS\.", "the bucket's encryption key cannot be used", "an enabled key that the credentials may use"
    ),
    Known(
        "ObjectLock|object lock|legal hold|retention|WORM",
        "the file is locked against replacement and removal",
        "a bucket without object lock: checkpoints are replaced and removed",
    ),
    Known(
        "explicit deny|policy allows|control policy",
        "a policy forbids the request",
        "what the bucket's and the account's administrators allow",
    ),
    Known("|".join(_DAMAGED), *DAMAGED),
    Known("InvalidObjectState", "the file is in an archive", "to be restored from it"),
    Known("^429|SlowDown|TooManyRequests|RequestLimitExceeded|Throttl", "too many requests", f"fewer jobs, or {LATER}"),
    Known(
        "^507|QuotaExceeded|StorageFull|InsufficientStorage|DiskFull",
        "no space or quota is left at the service",
        "more space, or older directories to be removed: `polyticket store rm`",
    ),
    Known("KeyTooLong|InvalidObjectName", "the service refuses the file's name", "a shorter prefix"),
    Known(
        "^501|NotImplemented|MethodNotAllowed",
        "the service lacks what a store needs",
        "one with conditional requests and uploads in parts",
    ),
    Known("^404 NoSuchUpload", "the upload was ended by somebody else", LATER),
    Known("^401", "the credentials were refused", _LOGIN),
    Known("^409", "another request changed the same thing at the same time (409)", LATER),
    Known("^412", "somebody else has changed the file meanwhile (412)", LATER),
)


def explained(error: Exception, *, at_bucket: bool) -> Told:
    """What a failure is, and what would be right, without secrets.

    Args:
        error: What the client library or the network raised.
        at_bucket: Whether the bucket was asked for, not a file.
    """
    match error:
        case boto.ClientError():
            status, code, message = said(error)
            return refused(_ANSWERS, status, code, message, role=_ROLE, at_bucket=at_bucket)
        case boto.NoCredentialsError() | boto.PartialCredentialsError():
            return "no usable credentials for S3", _LOGIN
        case boto.ProfileNotFound():
            return f"AWS_PROFILE is {os.environ.get('AWS_PROFILE', '')!r}, which no configuration file has", _LOGIN
        case boto.ConfigParseError() | boto.InvalidConfigError():
            return "the configuration of AWS cannot be read", "right files in ~/.aws, or none"
        case boto.CredentialRetrievalError() | boto.TokenRetrievalError() | boto.MetadataRetrievalError():
            return "the credentials cannot be renewed", _LOGIN
        case boto.SSOError() | boto.LoginError() | boto.NoAuthTokenError() | boto.RefreshWithMFAUnsupportedError():
            return "the login has expired", "`aws sso login` or `aws login`"
        case boto.IncompleteReadError() | boto.ResponseStreamingError():
            return BROKEN
        case boto.SSLError():
            return "the certificate of the service is not trusted", f"AWS_CA_BUNDLE, and {_ENDPOINT}"
        case boto.ReadTimeoutError() if "://" not in str(error.kwargs.get("endpoint_url")):  # of an answer's body
            return STOPPED
        case boto.HTTPClientError() | boto.ConnectionError():
            return "S3 cannot be reached", f"a network, and {_ENDPOINT}"
        case boto.InvalidRegionError() | boto.NoRegionError():
            return "not the name of a region", "that of the bucket in AWS_REGION or in the profile"
        case ResponseParserError() | KeyError():
            return "the answer is not one of S3", PORTAL
        case DamagedError():
            return DAMAGED
        case boto.EndpointProviderError() | ValueError() if "endpoint" in str(error).lower():
            return "not the address of a service", f"https://host or http://host:port; {_ENDPOINT}"
        case RecursionError():  # of the library, where the service sends to another region and does not say to which
            return _ELSEWHERE
    return otherwise(error)


def said(error: boto.ClientError) -> tuple[int, str, str]:
    """The HTTP status, the service's word for the reason, and its message. An answer without a body has no word."""
    found = error.response.get("Error", {})
    code, message = str(found.get("Code", "")), str(found.get("Message", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    return status, "" if code.isdecimal() else code, re.sub(r"<[^>]*>", " ", message)


def is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed when it is sent again."""
    if isinstance(error, boto.ClientError):
        status, code, _ = said(error)
        return status in (408, 409, 429) or status >= 500 or code in ("RequestTimeout", *_DAMAGED)
    return isinstance(error, boto.HTTPClientError | boto.ConnectionError | boto.IncompleteReadError | UNREADABLE)
