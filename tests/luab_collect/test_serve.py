"""`luab collect serve` as a process: both ports, TLS, signals, and no address of a visitor anywhere."""

import datetime
import ipaddress
import re
import ssl
import subprocess
import sys

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi.testclient import TestClient
from fixtures.servers import Server
from fixtures.shops import Annotator, add_people, make_shop

from luab.commands.collect import main
from luab_collect.server.admin import create_admin_app
from luab_collect.server.security import is_loopback
from luab_collect.server.studio import Studio
from luab_collect.store.opening import ProjectStore

VISITOR = "127.0.0.77"  # an address that is nobody else's


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    store = ProjectStore(make_shop(folder / "shop"))
    (token,) = add_people(store, "Ann")
    store.close()
    with Server(folder / "shop") as server:
        yield server, token


def test_a_visitor_works_and_leaves_no_address(served):
    server, token = served
    transport = httpx.HTTPTransport(local_address=VISITOR)
    with httpx.Client(base_url=server.address, transport=transport) as http:
        forwarded = {"X-Forwarded-For": VISITOR, "Forwarded": f"for={VISITOR}"}
        ann = Annotator(http, token).consent()
        ann.headers |= forwarded
        ann.finish()
        assert http.get("/nowhere", headers=forwarded).status_code == 404
        assert http.post("/api/enter", content=b"{", headers=forwarded).status_code == 400
        assert "server" not in http.get("/work").headers
    files = [server.log, *server.folder.glob("collect.sqlite*")]
    assert server.log.read_text().startswith("annotators: http://127.0.0.1:")
    assert "her own; 1 person has one" in server.log.read_text()
    assert f"people {server.folder} add NAME --address {server.address}" in server.log.read_text()
    assert not any(VISITOR.encode() in path.read_bytes() for path in files)


def test_admin_is_on_its_own_port_with_the_printed_token(served):
    server, _ = served
    address, token = re.search(
        r"^admin: +(\S+)/admin#t=(\S+)$", server.log.read_text(), re.MULTILINE
    ).groups()
    assert address == f"http://127.0.0.1:{server.admin_port}"
    good = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{address}/admin/api/progress", headers=good).json()["pages"] == 4
    assert httpx.get(f"{address}/admin/api/progress").status_code == 401
    assert httpx.get(f"{server.address}/admin/api/progress", headers=good).status_code == 404
    rebound = httpx.get(f"{address}/admin/api/progress", headers=good | {"Host": "evil.example.org"})
    assert (rebound.status_code, rebound.json()["error"]) == (403, "host")
    assert rebound.headers["x-content-type-options"] == "nosniff"


def test_a_port_in_use_is_said(served, capsys):
    server, _ = served
    assert main(["serve", str(server.folder), "--port", str(server.port)]) == 1
    assert f"cannot listen at 127.0.0.1, port {server.port}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--tls-cert", "x"], "--tls-cert and --tls-key go together"),
        (["--tls-cert", "x", "--tls-key", "y"], "--tls-cert is 'x', and there is no such file"),
        (["--port", "0", "--admin-port", "0"], "is no project"),
        (["--host", "no.such.host.invalid", "--port", "0"], "cannot listen at no.such.host.invalid"),
        (["--port", "99999"], "--port"),
    ],
)
def test_what_cannot_be_served_is_said(tmp_path, options, reason, capsys):
    assert main(["serve", str(tmp_path), *options]) == 1
    assert reason in capsys.readouterr().err


def test_a_signal_ends_it_after_what_has_begun(tmp_path):
    store = ProjectStore(make_shop(tmp_path / "shop"))
    (token,) = add_people(store, "Ann")
    with Server(tmp_path / "shop") as server:
        with httpx.Client(base_url=server.address) as http:
            Annotator(http, token).consent().finish()
        server.stop()
        assert not server.process.is_alive()
        assert "Traceback" not in server.log.read_text()
    with store.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM work WHERE state = 'submitted'").scalar() == 1
    store.close()


def certificate(folder):
    """Files of a certificate of 127.0.0.1 that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "cert.pem", folder / "key.pem"


def test_tls(tmp_path):
    cert, key = certificate(tmp_path)
    make_shop(tmp_path / "shop")
    server = Server(tmp_path / "shop", "--tls-cert", str(cert), "--tls-key", str(key))
    server.verify = ssl.create_default_context(cafile=str(cert))
    with server:
        assert server.address.startswith("https://")
        answer = httpx.get(f"{server.address}/work", verify=server.verify)
        assert answer.status_code == 200 and "max-age" in answer.headers["strict-transport-security"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8001", "localhost", "localhost:1", "[::1]:8001", "[::1]", "127.9.9.9"]
)
def test_names_of_this_machine(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example.org",
        "127.0.0.1.evil.org:80",
        "localhost.evil.org",
        "10.0.0.1:8001",
        "[::2]",
        "x:y:z",
    ],
)
def test_other_names(host):
    assert not is_loopback(host)


def test_without_the_token_admin_tells_nothing(tmp_path):
    studio = Studio(ProjectStore(make_shop(tmp_path / "shop")))
    with TestClient(create_admin_app(studio), base_url="http://127.0.0.1") as http:
        for header in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer "}):
            answer = http.get("/admin/api/progress", headers=header)
            assert (answer.status_code, answer.json()["error"]) == (401, "session")
    studio.close()


def test_the_limit_of_open_files_is_raised():
    code = (
        "import resource; from luab_collect.server.serving import allow_connections;"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1];"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)); allow_connections();"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 64
