"""A REST API that has taken the Authorization header away: what the function makes of the request."""

from tests.hosts.fronts import RestApi, body_of
from tests.hosts.test_lambda_http import code_of, signed_event
from tests.hosts.test_lambda_http import site as site


def test_a_signature_that_the_gateway_took(site):
    """Says where to go instead; without a sign that there was one, it is anybody's request."""
    front = RestApi("s3")
    event = signed_event(site, front, "GET", "/bucket")
    for name in [name for name in event["headers"] if name.lower() == "authorization"]:
        del event["headers"][name], event["multiValueHeaders"][name]

    taken, anybody = site.call(event), site.call(front.event("GET", f"{front.endpoint}/bucket", {}, b""))

    assert (403, b"AccessDenied") == (taken["statusCode"], code_of(taken))
    assert b"Function URL" in body_of(taken) and b"presigned" in body_of(taken)
    assert (403, b"AccessDenied") == (anybody["statusCode"], code_of(anybody))
    assert b"Function URL" not in body_of(anybody)
