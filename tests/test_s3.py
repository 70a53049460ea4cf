"""What the store at `s3://` does that others do not, and what it says of failures."""

import socket
import ssl
import time
import traceback
import uuid
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import botocore.session
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from polyticket.core.errors import PolyticketError
from polyticket.store import s3, transfers
from polyticket.store.base import ABSENT, ConflictError, bytes_stat, file_stat, open_store
from polyticket.store.directories import download_directory, upload_directory
from tests.conftest import BUCKET
from tests.support.faulty_proxy import Fault, faulty_proxy, first, refused
from tests.support.s3_server import ENVIRONMENT, PAGE, error

DAY = timedelta(days=1)
LONG = bytes(range(256)) * 36000


@pytest.fixture
def url(at_s3):
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


@pytest.fixture
def store(url):
    return open_store(url, deadline=10)


@pytest.fixture
def client(at_s3):
    return botocore.session.get_session().create_client("s3")


@pytest.fixture
def parts(monkeypatch):
    """Parts of the least length that the service takes."""
    monkeypatch.setattr(s3, "PART", 5 * 1024 * 1024)


@pytest.fixture
def at(monkeypatch):
    """Sets the address of the service."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return lambda address: monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)


@pytest.fixture
def long_file(tmp_path):
    (tmp_path / "long").write_bytes(LONG)
    return tmp_path / "long"


def begun(client):
    return client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])


def test_names_are_listed_from_several_pages(store):
    names = [f"a/é {number:02d}+&%" for number in range(2 * PAGE + 1)]
    for name in names:
        store.write(name, b"")
    store.write("b", b"")
    assert store.names("a/") == names
    assert store.names() == [*names, "b"]


def test_what_others_have_stored_is_read_to_know_its_checksum(store, client, at, url, at_s3, tmp_path, monkeypatch):
    monkeypatch.setattr(s3, "RANGE", 1000)
    data, prefix = bytes(range(256)) * 16, url.removeprefix(f"s3://{BUCKET}/")
    for name, body in (("a", data), ("empty", b""), ("folder/", b"")):
        client.put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=body)
    assert store.names() == ["a", "empty"]
    assert store.stat("a") == bytes_stat(data)
    assert store.stat("empty") == bytes_stat(b"")
    assert store.read("a") == data
    with faulty_proxy(first(2, Fault("flipped"), "GET", "/a"), at_s3) as proxy:
        at(proxy.url)
        open_store(url, deadline=5).get("a", tmp_path / "got")
        assert proxy.injected["flipped"] == 2
    assert (tmp_path / "got").read_bytes() == data


def test_a_file_in_parts_survives_faults(at, at_s3, url, parts, long_file, client):
    faults = {("PUT", "partNumber=2"): refused(503), ("POST", "uploadId"): refused(404, error("NoSuchUpload"))}

    def once(method, path):
        return next((faults.pop(key) for key in list(faults) if method == key[0] and key[1] in path), None)

    with faulty_proxy(once, at_s3) as proxy:
        at(proxy.url)
        store = open_store(url, deadline=20)
        assert store.put(long_file, "a", over=ABSENT) == store.stat("a") == file_stat(long_file)
        store.get("a", long_file.parent / "got")
    assert faults == {}
    assert (long_file.parent / "got").read_bytes() == LONG
    assert begun(client) == []


def test_a_file_in_parts_whose_last_answer_is_lost_is_there(at, at_s3, url, parts, long_file):
    with faulty_proxy(first(1, Fault("lost"), "POST", "uploadId"), at_s3) as proxy:
        at(proxy.url)
        assert open_store(url, deadline=10).put(long_file, "a") == file_stat(long_file)


def test_an_upload_in_parts_that_fails_is_taken_back(at, at_s3, url, parts, long_file, client):
    with faulty_proxy(first(10**9, refused(403, error("AccessDenied")), "PUT", "partNumber=2"), at_s3) as proxy:
        at(proxy.url)
        with pytest.raises(PolyticketError, match=r"/a: no permission \(403\)"):
            open_store(url, deadline=2).put(long_file, "a")
        assert proxy.injected["status"] == 1
    at(at_s3)
    assert open_store(url).names() == begun(client) == []


def test_a_file_that_changes_while_it_is_sent_in_parts_is_sent_again(store, parts, long_file, client, monkeypatch):
    ask, changes = store._ask, iter([b"another", b"one more"])

    def changed(operation, **arguments):
        if operation == "upload_part" and (data := next(changes, None)):
            with long_file.open("r+b") as stream:
                stream.write(data)
        return ask(operation, **arguments)

    monkeypatch.setattr(store, "_ask", changed)
    assert store.put(long_file, "a") == store.stat("a") == file_stat(long_file) != bytes_stat(LONG)
    assert store.read("a") == long_file.read_bytes()
    assert begun(client) == []


def test_a_file_in_parts_replaces_only_the_version_that_was_seen(store, parts, long_file, client):
    first = store.put(long_file, "a", over=ABSENT)
    assert store.put(long_file, "a", over=first.version).version == store.stat("a").version
    store.write("a", b"another")
    for late in (first.version, ABSENT):
        with pytest.raises(ConflictError, match="/a: somebody else has changed the file meanwhile"):
            store.put(long_file, "a", over=late)
    assert store.read("a") == b"another"
    assert begun(client) == []


def test_a_range_of_a_version_that_was_replaced_is_fetched_anew(store, tmp_path, monkeypatch):
    monkeypatch.setattr(transfers, "RANGE", 1000)
    store.write("a", b"old" * 1000)
    part_of = store._part_of

    def overtaken(key, version):
        if store.read("a").startswith(b"old"):
            store.write("a", b"new!" * 1000)
        return part_of(key, version)

    monkeypatch.setattr(store, "_part_of", overtaken)
    store.get("a", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"new!" * 1000


def test_bytes_that_arrive_damaged_again_and_again_are_told(at, at_s3, url):
    with faulty_proxy(first(10**9, Fault("flipped upload"), "PUT"), at_s3) as proxy:
        at(proxy.url)
        store = open_store(url, deadline=1)
        with pytest.raises(PolyticketError, match="/a: damaged in transfer: the checksum differs"):
            store.write("a", b"some bytes")
    at(at_s3)
    assert open_store(url).names() == []


SAID = {
    "clock": (403, "RequestTimeTooSkewed", "the request is refused for its time; expected a right clock"),
    "bucket": (404, "NoSuchBucket", "no such bucket; expected a bucket made beforehand"),
    "expired": (400, "ExpiredToken", "the credentials have expired; expected AWS_ACCESS_KEY_ID and"),
    "unknown key": (403, "InvalidAccessKeyId", "the service does not know the credentials; expected AWS_ACCESS_KEY_ID"),
    "wrong secret": (403, "SignatureDoesNotMatch", "the service refuses the credentials; expected the secret key that"),
    "region": (301, "PermanentRedirect", "the bucket is in another region; expected its region in AWS_REGION"),
    "region of the signature": (400, "AuthorizationHeaderMalformed", "the bucket is in another region; expected"),
    "account": (403, "NotSignedUp", "the account is not active for S3; expected"),
    "key": (400, "KMS.DisabledException", "the bucket's encryption key cannot be used; expected an enabled key"),
    "rate": (503, "SlowDown", "too many requests; expected fewer jobs"),
    "space": (507, "XMinioStorageFull", "no space or quota is left at the service; expected more space"),
    "name": (400, "KeyTooLongError", "the service refuses the file's name; expected a shorter prefix"),
    "feature": (501, "NotImplemented", "the service lacks what a store needs; expected one with conditional requests"),
    "rights": (403, "AccessDenied", r"no permission \(403\): User: a is not allowed; expected s3:ListBucket on the"),
    "conflict": (409, "OperationAborted", "another request changed the same thing at the same time"),
    "unknown": (400, "Strange", "the service refused the request with HTTP status 400: User: a is not allowed$"),
    "failing": (
        500,
        "InternalError",
        "the service failed with HTTP status 500: User: a is not allowed; expected to be",
    ),
}


@pytest.mark.parametrize(("status", "code", "told"), SAID.values(), ids=SAID)
def test_known_reasons_are_named_with_what_to_do(at, status, code, told):
    said = refused(status, error(code, "User: a\n is not allowed"))
    with faulty_proxy(lambda *_: said) as proxy:
        at(proxy.url)
        with pytest.raises(PolyticketError, match=f"^s3://bucket/a: {told}") as caught:
            open_store("s3://bucket/a", deadline=0.5)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("call", ["stat", "read", "get", "put", "write", "delete", "names"])
def test_every_request_is_told_in_one_line_without_secrets(at, at_s3, url, tmp_path, call):
    (tmp_path / "x").write_bytes(b"x")
    arguments = {"get": ("a", tmp_path / "got"), "put": (tmp_path / "x", "a"), "write": ("a", b"x"), "names": ()}
    left = [10**9]
    with faulty_proxy(lambda *_: refused(400, error("ExpiredToken")) if not left else None, at_s3) as proxy:
        at(proxy.url)
        store = open_store(url, deadline=5)
        store.write("a", b"x")
        left.clear()  # an answer to HEAD has no body that gives a reason
        with pytest.raises(
            PolyticketError, match=f"^{url}(/a)?: the credentials have expired; expected AWS_"
        ) as caught:
            getattr(store, call)(*arguments.get(call, ("a",)))
    assert "secret-token" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("said", [b"<html><b>Bad\n gateway</b></html>", b"[]", b"", b"\xff", b"{}"])
def test_an_answer_that_is_not_the_services_own_is_one_line_too(at, said):
    for status, told in (
        (502, r"the service failed with HTTP status 502(: .*)?; expect"),
        (200, "the (answer is not one of S3|service failed)"),
    ):
        with faulty_proxy(lambda *_, status=status: refused(status, said)) as proxy:
            at(proxy.url)
            with pytest.raises(PolyticketError, match=rf"^s3://bucket/a: {told}") as caught:
                open_store("s3://bucket/a", deadline=0.5)
        assert len(str(caught.value).splitlines()) == 1
        assert "<" not in str(caught.value)


def test_a_missing_bucket(at_s3):
    with pytest.raises(PolyticketError, match=r"^s3://polyticket-none/a: no such bucket; expected a bucket made"):
        open_store("s3://polyticket-none/a")


@pytest.mark.parametrize("listens", [True, False], ids=["silent", "unreachable"])
def test_a_host_that_does_not_answer_ends_within_the_deadline(at, listens):
    with socket.socket() as host:
        host.bind(("127.0.0.1", 0))
        if listens:
            host.listen()
        at(f"http://127.0.0.1:{host.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(PolyticketError, match=r"^s3://bucket/a: S3 cannot be reached; expected a network, and a r"):
            open_store("s3://bucket/a", deadline=1)
        assert time.monotonic() - began < 6


@pytest.mark.parametrize("address", ["127.0.0.1:9000", "http://", "http://127.0.0.1:port", "tcp://127.0.0.1:9"])
def test_what_is_no_address_of_a_service_is_refused(at, address):
    at(address)
    with pytest.raises(PolyticketError, match=r"^s3://bucket/a: (not the address of a service|S3 cannot be reached); "):
        open_store("s3://bucket/a", deadline=1)


def test_credentials_that_are_missing_are_told(at, monkeypatch, tmp_path):
    at("http://127.0.0.1:9")
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name)
        with pytest.raises(PolyticketError, match=r"^s3://bucket/a: no usable credentials for S3; expected AWS_ACCESS"):
            open_store("s3://bucket/a", deadline=1)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(PolyticketError, match="AWS_PROFILE is 'nobody', which no configuration file has; expected AWS"):
        open_store("s3://bucket/a", deadline=1)
    (tmp_path / "config").write_text("no section\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(PolyticketError, match="the configuration of AWS cannot be read; expected right files in"):
        open_store("s3://bucket/a", deadline=1)
    program = "#!/bin/sh\necho secret-token >&2\nexit 1\n"
    (tmp_path / "program").write_text(program)
    (tmp_path / "config").write_text(f"[profile nobody]\ncredential_process = /bin/sh {tmp_path}/program\n")
    with pytest.raises(PolyticketError, match="the credentials cannot be renewed; expected AWS_ACCESS") as caught:
        open_store("s3://bucket/a", deadline=1)
    assert "secret-token" not in "".join(traceback.format_exception(caught.value))


def test_a_directory_goes_there_and_back_by_a_profile(at_s3, url, tmp_path, monkeypatch):
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL_S3", "AWS_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "minio")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    keys = "aws_access_key_id = test\naws_secret_access_key = test\nregion = us-east-1"
    (tmp_path / "config").write_text(f"[profile minio]\n{keys}\nendpoint_url = {at_s3}\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/a").write_bytes(b"a")
    receipt = upload_directory(open_store(url), tmp_path / "run", "run")
    assert download_directory(open_store(url), "run", tmp_path / "got") == receipt


def certified(folder):
    """The path of a new certificate for 127.0.0.1, with its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + DAY)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = built.add_extension(address, critical=False).sign(key, hashes.SHA256())
    plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "pem").write_bytes(key.private_bytes(*plain) + signed.public_bytes(Encoding.PEM))
    return str(folder / "pem")


def test_what_arrives_is_compared_through_https_too(at, at_s3, url, tmp_path, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certified(tmp_path))
    with faulty_proxy(first(2, Fault("flipped upload"), "PUT"), at_s3) as proxy:
        proxy.socket = context.wrap_socket(proxy.socket, server_side=True)
        at(proxy.url.replace("http:", "https:"))
        with pytest.raises(PolyticketError, match="the certificate of the service is not trusted; expected AWS_CA_BUN"):
            open_store(url, deadline=1)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "pem"))
        store = open_store(url, deadline=5)
        assert store.write("a", b"some bytes") == store.stat("a")
        assert store.read("a") == b"some bytes"
        assert proxy.injected["flipped upload"] == 2
