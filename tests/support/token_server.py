"""Google's token endpoint on loopback, behind a proxy, that says that a login has expired; and such a login."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "oauth2.googleapis.com"
LOGIN = {"type": "authorized_user", "client_id": "client", "client_secret": "hidden-1", "refresh_token": "hidden-2"}
"""What `gcloud auth application-default login` writes."""
EXPIRED = {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}


class Handler(BaseHTTPRequestHandler):
    """A proxy for HTTPS that is the host itself; every request for a token is refused."""

    protocol_version = "HTTP/1.1"

    def do_CONNECT(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self.setup()
        self.close_connection = False

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        said = json.dumps(EXPIRED).encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@contextmanager
def expired_login(folder: Path) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Variables with which a process finds a login that has expired, and the hosts that were asked."""
    certificate, login = folder / "certificate.pem", folder / "login.json"
    write_certificate(certificate)
    login.write_text(json.dumps(LOGIN), encoding="utf-8")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.asked = True, []
        server.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.context.load_cert_chain(certificate)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        variables = {
            "GOOGLE_APPLICATION_CREDENTIALS": str(login),
            "HTTPS_PROXY": f"http://127.0.0.1:{server.server_port}",
            "REQUESTS_CA_BUNDLE": str(certificate),
        }
        try:
            yield variables, server.asked
        finally:
            server.shutdown()
            thread.join()


def write_certificate(path: Path) -> None:
    """A key and a certificate that it has signed itself, for `HOST`, for an hour."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    own = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*own) + certificate.public_bytes(serialization.Encoding.PEM))
