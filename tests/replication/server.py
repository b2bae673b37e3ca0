"""A real HTTP or HTTPS server before a PeerDoor, and certificates to run it with."""

import datetime
import ipaddress
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from chalicelib.adapters.http_peer import HttpPeer
from chalicelib.replication.door import link_context
from tests.builders import door_of


@contextmanager
def serving(door, tls=None):
    """The endpoint of a door, until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self):
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, frame = door.handle("POST", self.path, headers, length, lambda: body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(frame)))
            self.end_headers()
            self.wfile.write(frame)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *args: None
    scheme = "http"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Servers:
    """Dials any site of a Net over HTTP, starting its server when it is first dialled."""

    def __init__(self, stack):
        self._stack = stack
        self._endpoints = {}

    def __call__(self, net, me, link):
        if link.site not in self._endpoints:
            door = Forwarding(net, link.site)
            self._endpoints[link.site] = self._stack.enter_context(serving(door))
        return dialled(net, me, link, self._endpoints[link.site])


class Forwarding:
    """The door of whichever Node stands for a site now."""

    def __init__(self, net, name):
        self._net, self._name = net, name

    def handle(self, *request):
        return door_of(self._net[self._name]).handle(*request)


def dialled(net, me, link, endpoint, **changes):
    """An HttpPeer with the link's secret; `changes` replaces what it is made of."""
    mine = net[me].site
    fields = {
        "me": me,
        "other": link.site,
        "secret": mine.vault.unwrap(link.secret, link_context(link.site)),
        "now_ms": mine.clock.now_ms,
        **changes,
    }
    return HttpPeer(endpoint, **fields)


def authority(directory, name):
    """A self-made CA and a certificate of it for 127.0.0.1: (CA file, server context)."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = _certificate(name, ca_key.public_key(), name, ca_key, is_ca=True)
    leaf = _certificate("127.0.0.1", key.public_key(), name, ca_key, is_ca=False)
    ca_file, chain = directory / f"{name}.pem", directory / f"{name}-server.pem"
    ca_file.write_bytes(ca.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain.write_bytes(leaf.public_bytes(Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return str(ca_file), context


def _certificate(subject, public_key, issuer, signer, *, is_ca):
    def named(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if not is_ca:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return builder.sign(signer, hashes.SHA256())
