"""The client of the admin API (hosts.admin), and of its like: JSON over HTTP, signed as S3 requests are.

In      a Place
Errors  Failure: UNREACHABLE when the site, or the primary behind it, does not answer; REFUSED when the
        site says no; the message is the site's own words
Source  hosts/admin.py has the table of paths.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3

from chalicelib.cli import world
from chalicelib.cli.failure import Exit, Failure
from chalicelib.cli.place import Place
from chalicelib.s3.canonical import Credentials, sign

PATH = "/causeway/admin/"
NOT_CAUSEWAY = "NotCauseway"  # the code of a Failure: another server answered
CONNECT_S = 5.0
READ_S = 120.0  # a GC run or a name decided by a far primary takes a while
Fields = dict[str, Any]


class AdminClient:
    """Asks one site."""

    def __init__(self, place: Place, prefix: str = PATH, connections: int = 1) -> None:
        self.place = place
        parts = urlsplit(place.endpoint)
        self._host = parts.netloc
        self._server = f"{parts.scheme}://{parts.netloc}"
        self._prefix = parts.path + prefix  # a REST API's stage is part of what is signed
        self._credentials = Credentials(place.access_key, place.secret_key, place.region)
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
            ca_certs=place.ca_bundle or None,
            cert_reqs="CERT_REQUIRED",
        )

    def get(self, *path: str) -> Fields:
        """GET."""
        return self._ask("GET", path, None)

    def post(self, *path: str, **fields: Any) -> Fields:
        """POST `fields`."""
        return self._ask("POST", path, fields)

    def delete(self, *path: str) -> Fields:
        """DELETE."""
        return self._ask("DELETE", path, None)

    def _ask(self, method: str, path: tuple[str, ...], fields: Fields | None) -> Fields:
        target = self._prefix + "/".join(quote(part, safe="") for part in path)
        body = b"" if fields is None else json.dumps(fields).encode()
        headers = [("host", self._host)]
        headers += sign(
            method,
            target.encode(),
            (),
            tuple(headers),
            credentials=self._credentials,
            now_ms=world.now_ms(),
            payload=hashlib.sha256(body).hexdigest(),
        )
        try:
            answer = self._pool.request(
                method, self._server + target, body=body or None, headers=dict(headers), redirect=False
            )
        except urllib3.exceptions.HTTPError as problem:
            raise Failure(Exit.UNREACHABLE, self._unreachable(problem)) from problem
        return self._read(answer.status, answer.data)

    def _unreachable(self, problem: urllib3.exceptions.HTTPError) -> str:
        endpoint = self.place.endpoint
        if isinstance(problem, urllib3.exceptions.SSLError):
            return f"TLS to {endpoint} failed: {problem}; --ca-bundle names the CA that vouches for it"
        if isinstance(problem, urllib3.exceptions.ReadTimeoutError):
            return f"{endpoint} did not answer within {READ_S:.0f} s; try again"
        return (
            f"no site answers at {endpoint}; start it with `causeway serve`, or give another "
            f"{self.place.said.endpoint}"
        )

    def _read(self, status: int, body: bytes) -> Fields:
        try:
            fields = json.loads(body)
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            told = f"{self.place.endpoint} answered {status}, not as a Causeway site"
            raise Failure(Exit.UNREACHABLE, told, NOT_CAUSEWAY if status < 500 else "")
        if status == 200:
            return fields
        code, message = str(fields.get("error", status)), str(fields.get("message", ""))
        # 5xx: the site, or whom it had to ask, cannot answer now; trying again later may help.
        kind = Exit.UNREACHABLE if status >= 500 else Exit.REFUSED
        raise Failure(kind, _explained(code, message), code)


def _explained(code: str, message: str) -> str:
    hints = {
        "InvalidAccessKeyId": "this site does not know the access key; give its own with --data or --profile",
        "SignatureDoesNotMatch": "the secret key is wrong for this access key",
        "RequestTimeTooSkewed": "the clocks of this machine and the site are too far apart",
    }
    return hints.get(code) or message or code
