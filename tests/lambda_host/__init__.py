"""What `chalice package` builds, run for real: sandboxes, fronts, queues and schedules. See README.md."""

from tests.lambda_host.function import FunctionError, PayloadTooLarge, Result, Throttled
from tests.lambda_host.packaging import Package, packaged
from tests.lambda_host.site import LambdaSite

__all__ = ["FunctionError", "LambdaSite", "Package", "PayloadTooLarge", "Result", "Throttled", "packaged"]
