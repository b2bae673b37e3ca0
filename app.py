"""Causeway as Lambda functions: which event calls what. No logic stands here.

    api_handler, gateway   HTTP: every method and path, behind a REST API and behind a Function URL
    on_documents           messages of bucket events: something was created below manifests/
    sweep, fullsync        each minute: what is owed; which fullsyncs are due
    fullsync_step          messages of `fullsync` and of its own: go on with one link's run
    collect                each hour: GC, the only one that deletes blocks
    administrator          invoked once by hand: the first administrator

HTTP events never reach Chalice's own request handling: it would refuse S3 clients (no Accept header: 400,
other content types: 415) and decode what they signed. The routes only make the API. Queues are bound in
infra/, where Chalice has no word for partial batch responses.
Source  DESIGN §4; docs of Chalice 1.34.
"""

import gc
from typing import Any

gc.disable()  # until sandbox.start(): what is made by then stays, and looking it through costs a tenth of it

from chalice import Chalice, Rate  # noqa: E402
from chalice.app import CloudWatchEvent  # noqa: E402

from chalicelib.hosts import functions, lambda_http, sandbox  # noqa: E402

METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE"]
PATHS = {"service": "/", "bucket": "/{bucket}", "object": "/{bucket}/{key+}"}


class Causeway(Chalice):
    """Hands HTTP events to the site as they came, all others to Chalice."""

    def __call__(self, event: Any, context: Any) -> Any:
        if lambda_http.is_http(event):
            return functions.http(event, context)
        return super().__call__(event, context)


app = Causeway(app_name="causeway")
app.api.binary_types = ["*/*"]


def _answered_above(**_: Any) -> None:
    raise AssertionError("Causeway.__call__ answers HTTP events")


for _name, _path in PATHS.items():
    app.route(_path, methods=METHODS, content_types=["*/*"], name=_name)(_answered_above)


@app.lambda_function(name="gateway")
def gateway(event: Any, context: Any) -> Any:
    """The same site behind a Function URL."""
    return functions.http(event, context)


@app.lambda_function(name="on_documents")
def on_documents(event: Any, context: Any) -> Any:
    """Realtime."""
    return functions.on_documents(event, context)


@app.lambda_function(name="fullsync_step")
def fullsync_step(event: Any, context: Any) -> Any:
    """Go on with a run until the function's time is nearly up."""
    return functions.fullsync_step(event, context)


@app.lambda_function(name="administrator")
def administrator(event: Any, context: Any) -> Any:
    """The first administrator's keys, once."""
    return functions.administrator(event, context)


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweep")
def sweep(event: CloudWatchEvent) -> Any:
    """What is due: first tries that no event came for, and later tries."""
    return functions.sweep(event.to_dict(), event.context)


@app.schedule(Rate(1, unit=Rate.MINUTES), name="fullsync")
def fullsync(event: CloudWatchEvent) -> Any:
    """Each link has its own interval, the stage's unless it was given one; this looks which are over."""
    return functions.fullsync(event.to_dict(), event.context)


@app.schedule(Rate(1, unit=Rate.HOURS), name="collect")
def collect(event: CloudWatchEvent) -> Any:
    """GC."""
    return functions.collect(event.to_dict(), event.context)


sandbox.start()  # wrong settings, names and permissions show now, not at the first request
