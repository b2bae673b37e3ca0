"""The functions app.py binds, each (event, context) → answer: what to call, how long, what to count.

Promise the site is wired once and kept as long as the sandbox lives
Told    lines of JSON with Lambda's request id (powertools Logger), counts as CloudWatch metrics in the
        namespace Causeway, dimensions service and site (EMF). What the site itself logs stands beside them
Errors  SettingsError at the start names every setting that is wrong
Source  DESIGN §4; AWS Lambda Powertools: Logger, Metrics, Tracer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from chalicelib import bootstrap
from chalicelib.hosts import lambda_events, lambda_http, lambda_queues, tracing
from chalicelib.hosts.sandbox import queues, settings, site

Event = dict[str, Any]

NAMESPACE, SERVICE = "Causeway", "causeway"
logger = Logger(service=SERVICE)
metrics = Metrics(namespace=NAMESPACE, service=SERVICE)


def _told(function: Callable[[Event, Any], Any]) -> Callable[[Event, Any], Any]:
    counted = metrics.log_metrics(function, capture_cold_start_metric=True)

    @wraps(function)
    def named(event: Event, context: Any) -> Any:
        name = settings().site
        logger.append_keys(site=name)  # which clear_state has just forgotten
        metrics.set_default_dimensions(site=name)
        return counted(event, context)

    told: Callable[[Event, Any], Any] = logger.inject_lambda_context(clear_state=True)(named)
    return tracing.traced(told)


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
    told = {"status": status, "method": lambda_http.method_of(event)}
    logger.info("request", extra={**told, "s3_request_id": lambda_http.request_id_of(out)})
    return out


@_told
def on_documents(event: Event, context: Any) -> Any:
    """An event of the block bucket, straight from it or in a batch of SQS messages."""
    until_ms = _until_ms(context)
    if not lambda_events.is_sqs(event):
        return _documents(event, until_ms)

    def deal(message: str) -> None:
        _documents(lambda_events.body_of(message), until_ms)

    return _batch(event, context, deal, queues().documents_dead)


def _documents(event: Event, until_ms: int) -> lambda_events.Count:
    node = site().node

    def serve(told: lambda_events.Told) -> int:
        if node.site.clock.now_ms() >= until_ms:
            return 0  # owed still: the sweep will serve it
        return node.serve_document(told, until_ms)

    count = lambda_events.on_documents(event, serve, settings().blocks_prefix, node.site.log.event)
    _count("documents", count)
    return count


def _until_ms(context: Any) -> int:
    """When the last step begins."""
    return site().node.site.clock.now_ms() + lambda_events.share_ms(context.get_remaining_time_in_millis())


@_told
def sweep(event: Event, context: Any) -> lambda_events.Count:
    """Each minute: how far every sink is behind; then whatever is due. In this order, and written at once,
    for the alarm must hear of it should serving not come to its end."""
    node = site().node
    _lags(node.site.id, lambda_events.lags(node))
    count = lambda_events.sweep(node, context.get_remaining_time_in_millis())
    _count("sweep", count)
    return count


def _lags(name: str, lags: Mapping[str, lambda_events.Lag]) -> None:
    worst_s = max((lag.age_ms / 1000 for lag in lags.values()), default=0.0)
    with _written({"site": name}) as told:
        told.add_metric(name="lag_seconds", unit=MetricUnit.Seconds, value=worst_s)
    for sink, lag in lags.items():
        with _written({"site": name, "link": sink}) as told:
            told.add_metric(name="lag_seconds", unit=MetricUnit.Seconds, value=lag.age_ms / 1000)
            told.add_metric(name="records_behind", unit=MetricUnit.Count, value=lag.records)
            told.add_metric(name="blocks_behind", unit=MetricUnit.Count, value=lag.blocks)
            told.add_metric(name="bytes_behind", unit=MetricUnit.Bytes, value=lag.bytes)


@contextmanager
def _written(dimensions: dict[str, str]) -> Iterator[EphemeralMetrics]:
    """Metrics of their own, written when the block ends, not when the function does."""
    told = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE, default_dimensions=dimensions)
    yield told
    told.flush_metrics()


@_told
def fullsync(event: Event, context: Any) -> lambda_events.Count:
    """Each minute: start the runs that are due, and have those that nobody drives go on."""
    node, queue = site().node, queues().fullsync
    if queue is None:
        count = lambda_events.fullsync(node, context.get_remaining_time_in_millis())
    else:
        count = lambda_events.schedule(node, queue)
    _count("fullsync", count)
    return count


@_told
def fullsync_step(event: Event, context: Any) -> Any:
    """Go on with the runs that messages name."""
    node = site().node

    def deal(message: str) -> None:
        left_ms = context.get_remaining_time_in_millis()
        count = lambda_events.fullsync_step(node, queues().fullsync, message, left_ms)
        _count("fullsync_step", count)

    return _batch(event, context, deal, queues().fullsync_dead)


def _batch(event: Event, context: Any, deal: Callable[[str], None], dead: Any) -> Any:
    tell = site().node.site.log.event
    given_up = lambda_queues.GivesUp(deal, dead, settings().queue_tries, context.aws_request_id, tell)
    return lambda_queues.answer(event, context, given_up)


@_told
def collect(event: Event, context: Any) -> lambda_events.Count:
    """Each hour: GC."""
    count = lambda_events.collect(site().node, context.get_remaining_time_in_millis())
    _count("gc", count)
    return count


@_told
def administrator(event: Event, context: Any) -> dict[str, str]:
    """The keys of the first administrator, whom this makes. Nobody else is told them, and no log."""
    made = bootstrap.first_administrator(site().node)
    logger.info("administrator", extra={"made": made is not None})
    if made is None:
        return {"error": "AlreadyMade", "message": lambda_events.ADMINISTRATOR_MADE, "site": settings().site}
    return {**made, "site": settings().site}
