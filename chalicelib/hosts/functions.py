"""The functions app.py binds, each (event, context) → answer: what to call, how long, what to count.

Promise the site is wired at the first event and kept as long as the sandbox lives; boto3 is imported then
Told    one line of JSON an invocation with Lambda's request id (powertools Logger), counts as CloudWatch
        metrics in the namespace Causeway (EMF). What the site itself logs stands beside it
Errors  SettingsError at the first event names every setting that is wrong
Source  DESIGN §4; AWS Lambda Powertools: Logger, Metrics, Batch processing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from chalicelib import bootstrap
from chalicelib.hosts import faces, lambda_events, lambda_http
from chalicelib.settings import Settings

Event = dict[str, Any]

logger = Logger(service="causeway")
metrics = Metrics(namespace="Causeway", service="causeway")


@cache
def _settings() -> Settings:
    return Settings.read()


@cache
def site() -> bootstrap.Wired:
    """The site of this sandbox."""
    return bootstrap.build_function(_settings(), faces.routes)


def forget() -> None:
    """Wire the site anew at the next event; for tests, which change the environment."""
    site.cache_clear()
    _settings.cache_clear()


def _told(function: Callable[[Event, Any], Any]) -> Callable[[Event, Any], Any]:
    told: Callable[[Event, Any], Any] = logger.inject_lambda_context(clear_state=True)(
        metrics.log_metrics(function)
    )
    return told


def _count(what: str, counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        metrics.add_metric(name=f"{what}_{name}", unit=MetricUnit.Count, value=count)
    logger.info(what, extra=dict(counts))


@_told
def http(event: Event, context: Any) -> Event:
    """One HTTP request, from the REST API or the Function URL."""
    out = lambda_http.answer(site().handle, event)
    status = out["statusCode"]
    metrics.add_metric(name="requests", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="request_failures", unit=MetricUnit.Count, value=int(status >= 500))
    logger.info("request", extra={"status": status, "method": lambda_http.method_of(event)})
    return out


@_told
def on_documents(event: Event, context: Any) -> Any:
    """An event of the block bucket, straight from it or in a batch of SQS messages."""
    if not lambda_events.is_sqs(event):
        return _documents(event)
    # Imported where it is needed: no other function pays for it.
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    def one(record: Any) -> None:
        _documents(lambda_events.body_of(record.body))

    return process_partial_response(event, one, BatchProcessor(event_type=EventType.SQS), context)


def _documents(event: Event) -> lambda_events.Count:
    node = site().node
    count = lambda_events.on_documents(
        event, node.serve_document, _settings().blocks_prefix, node.site.log.event
    )
    _count("documents", count)
    return count


@_told
def sweep(event: Event, context: Any) -> lambda_events.Count:
    """Each minute: whatever is due."""
    count = lambda_events.sweep(site().node, context.get_remaining_time_in_millis())
    _count("sweep", count)
    return count


@_told
def fullsync(event: Event, context: Any) -> lambda_events.Count:
    """Each minute: runs that are due or under way."""
    count = lambda_events.fullsync(site().node, context.get_remaining_time_in_millis())
    _count("fullsync", count)
    return count


@_told
def collect(event: Event, context: Any) -> lambda_events.Count:
    """Each hour: GC."""
    count = lambda_events.collect(site().node)
    _count("gc", count)
    return count
