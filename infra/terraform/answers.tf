# What the REST API answers by itself, in the words S3 clients know. Its 413 cannot be worded.

locals {
  error = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>%s</Code><Message>%s</Message><RequestId>$context.requestId</RequestId></Error>"
  slow  = { status = "503", body = format(local.error, "SlowDown", "Please reduce your request rate.") }
  answers = {
    THROTTLED           = local.slow
    QUOTA_EXCEEDED      = local.slow
    INTEGRATION_TIMEOUT = local.slow
    MISSING_AUTHENTICATION_TOKEN = {
      status = "405"
      body   = format(local.error, "MethodNotAllowed", "The specified method is not allowed against this resource.")
    }
    DEFAULT_4XX = { status = null, body = format(local.error, "InvalidRequest", "$context.error.responseType") }
    DEFAULT_5XX = { status = null, body = format(local.error, "InternalError", "$context.error.responseType") }
  }
}

resource "aws_api_gateway_gateway_response" "each" {
  for_each           = local.answers
  rest_api_id        = aws_api_gateway_rest_api.site.id
  response_type      = each.key
  status_code        = each.value.status
  response_templates = { "application/xml" = each.value.body }
}
