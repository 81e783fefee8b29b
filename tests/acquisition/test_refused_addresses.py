"""What no patience mends is told at once and with its reason; what may pass is waited for."""

import http.server
import socket
import ssl
import threading
import time

import pytest
import requests

from universal_simulator.acquisition import download, sources
from universal_simulator.acquisition.download import WebFile, no_patience_mends
from universal_simulator.configuration import BucketSource, PublishedSource
from universal_simulator.support.errors import InputError

NAME = "1D_Burgers_Sols_Nu0.01.hdf5"


@pytest.fixture
def no_tls():
    """Return the address of a server that does not speak TLS."""
    handler = type("Silent", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def opened(folder, endpoint):
    given = {"key": "k", "secret": "s", "client_kwargs": {"endpoint_url": endpoint}}
    return sources.provide_from_bucket(folder / NAME, BucketSource(uri="s3://mine/burgers"), given)


def test_a_server_without_tls_is_told_at_once(tmp_path, no_tls):
    began = time.monotonic()
    with pytest.raises(
        InputError, match=r"TLS refused \(.*SSL.*\), must show a certificate that this machine trusts; "
    ):
        download.provide_published(tmp_path / NAME, PublishedSource(address=f"{no_tls}/{{id}}"))
    with pytest.raises(InputError, match=r"bucket = TLS refused \(.*SSL.*\)"):
        opened(tmp_path, no_tls)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("error", "lasts"),
    [
        (ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate"), True),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), False),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), True),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), False),
        (ConnectionResetError("reset by peer"), False),
        (TimeoutError("timed out"), False),
    ],
)
def test_causes_that_last_are_told_from_those_that_pass_however_deep_they_lie(error, lasts):
    wrapped = requests.ConnectionError(requests.packages.urllib3.exceptions.MaxRetryError(None, "/", error))
    assert (no_patience_mends("here", wrapped) is not None) == lasts


@pytest.mark.parametrize("address", ["http://[1/file", "http://.x/file", "htp://host/file", "no address"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InputError, match=r"address = .* must be a valid URL \(.*\); correct it"):
        WebFile(address).stream(0)


def test_a_bundle_of_certificates_that_is_gone_is_named(tmp_path, no_tls, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    with pytest.raises(InputError, match=r"REQUESTS_CA_BUNDLE = not usable \(.*gone.pem"):
        WebFile(f"{no_tls}/file").stream(0)


@pytest.mark.parametrize("endpoint", ["s3.eu-central-003.example.com", "//host", "ftp://host", "https://", "host:9000"])
def test_an_endpoint_without_a_scheme_is_refused(tmp_path, endpoint):
    with pytest.raises(InputError, match=r"B2_ENDPOINT = .*: must begin with https:// .*; write B2_ENDPOINT=https://"):
        opened(tmp_path, endpoint)


def test_what_other_variables_say_of_the_bucket_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "of_another_tool")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(
        InputError, match=r"bucket = not asked \(.*of_another_tool.*\), must be; correct .* AWS_\* variables"
    ):
        opened(tmp_path, "https://localhost:9")
