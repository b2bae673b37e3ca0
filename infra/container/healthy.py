"""The image's health check: 0 when this site answers /health/ready with 200, else 1 and why.

Where the site listens stands in its own settings, CAUSEWAY_PORT and CAUSEWAY_TLS_CERT. Its certificate is not
checked: this asks whether the process works, from inside its own container.
"""

import os
import ssl
import sys
import urllib.request


def main() -> int:
    """Ask once."""
    tls = bool(os.environ.get("CAUSEWAY_TLS_CERT"))
    url = f"http{'s' if tls else ''}://127.0.0.1:{os.environ.get('CAUSEWAY_PORT', '9000')}/health/ready"
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=4) as answer:
            return 0 if answer.status == 200 else 1
    except OSError as problem:
        print(f"{url}: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
