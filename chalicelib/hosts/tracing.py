"""Traces by AWS X-Ray, where they were asked for and what the extra `tracing` names is in the package.

    POWERTOOLS_TRACE_DISABLED=false and Active tracing of the function turn it on, with the extra `tracing`'s
    packages in requirements.txt. They are not there by default, for they would cost every cold start.
Source  AWS Lambda Powertools: Tracer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

from chalicelib.settings import traces

Handler = Callable[[dict[str, Any], Any], Any]


@cache
def _tracer() -> Any:
    """Powertools' Tracer; None where nothing could be traced."""
    if not traces() or find_spec("aws_xray_sdk") is None:
        return None
    from aws_lambda_powertools import Tracer

    return Tracer(service="causeway")


def traced(handler: Handler) -> Handler:
    """The handler as a segment of a trace, named as it is. What it returns is never recorded: it may be an
    object's bytes, or an administrator's keys."""
    tracer = _tracer()
    if tracer is None:
        return handler
    captured: Handler = tracer.capture_lambda_handler(handler, capture_response=False)
    return captured
