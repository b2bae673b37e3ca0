"""A routed request on its way to becoming an operation: the parsers' only argument.

In      Request, the names from its path or host, its query as a dict
Out     checked parameters
Errors  InvalidArgument
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.s3 import errors, names
from chalicelib.s3.request import Request


@dataclass(frozen=True, slots=True)
class Call:
    """`bucket` and `key` are checked already; "" where the path names none."""

    request: Request
    bucket: str
    key: str
    params: dict[str, str]

    def param(self, name: str) -> str:
        """A query parameter, "" if not sent."""
        return self.params.get(name, "")

    def count(self, name: str) -> int:
        """A page size, capped."""
        return names.parse_count(name, self.params.get(name))

    def header(self, name: str) -> str | None:
        """A header's first value, or None."""
        return self.request.headers.get(name)

    def encoding_url(self) -> bool:
        """Whether encoding-type=url was asked for; it is the only type there is."""
        sent = self.params.get("encoding-type")
        if sent is None:
            return False
        if sent != "url":
            raise errors.InvalidArgument(
                "Invalid Encoding Method specified in Request",
                ArgumentName="encoding-type",
                ArgumentValue=sent[:64],
            )
        return True

    def key_param(self, name: str) -> str:
        """A prefix or marker: as long as a key at most. A longer one can match nothing."""
        return names.check_key(self.param(name))
