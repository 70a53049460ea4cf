"""An S3 server on loopback: that of moto, and what it does not do.

It compares no body with the SHA-256 that its request is signed with, and no entity tag where an upload in parts ends.

As a program it serves until it is ended, and prints its address.
"""

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import requests

PAGE = 5
"""Names on a page of a list."""

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "secret-token",
    "AWS_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def error(code: str, message: str = "secret-token") -> bytes:
    """The body of an answer of the service with an error status."""
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()


def checking(application: Callable) -> Callable:
    """The application, after the comparisons that it does not do."""
    from werkzeug.test import Client

    def compared(environ: dict, start_response: Callable) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        signed = environ.get("HTTP_X_AMZ_CONTENT_SHA256", "")
        if signed and signed != hashlib.sha256(body).hexdigest():
            return refused("400 Bad Request", "XAmzContentSHA256Mismatch", start_response)
        tag = environ.get("HTTP_IF_MATCH")
        if tag and environ["REQUEST_METHOD"] == "POST":
            headers = {"Authorization": environ["HTTP_AUTHORIZATION"], "Host": environ["HTTP_HOST"]}
            found = Client(application).head(environ["PATH_INFO"], headers=headers)
            if found.headers.get("ETag") != tag:
                return refused("412 Precondition Failed", "PreconditionFailed", start_response)
        return application(environ, start_response)

    return compared


def refused(status: str, code: str, start_response: Callable) -> Iterable[bytes]:
    body = error(code)
    start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


@contextmanager
def s3_server(bucket: str) -> Iterator[str]:
    """The address of a server that serves within the block, in a process of its own, with a bucket."""
    environment = {**os.environ, **ENVIRONMENT, "MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE)}
    command = [sys.executable, "-m", "tests.support.s3_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as server:
        try:
            address = server.stdout.readline().decode().strip()
            requests.put(f"{address}/{bucket}", timeout=60).raise_for_status()
            yield address
        finally:
            server.kill()


def main() -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    application = checking(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
