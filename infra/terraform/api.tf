# The REST API in front of api_handler, and the Function URL of gateway.
#
# Neither asks AWS who is calling (NONE): S3 clients sign with Causeway's own keys, which IAM does not know, and the
# function verifies Signature V4 before anything else. REGIONAL: the edge would add a host that nobody signed for.

locals {
  verbs = ["GET", "HEAD", "PUT", "POST", "DELETE"]
  paths = {
    "/"                = aws_api_gateway_rest_api.site.root_resource_id
    "/{bucket}"        = aws_api_gateway_resource.bucket.id
    "/{bucket}/{key+}" = aws_api_gateway_resource.key.id
  }
  routes = { for pair in setproduct(["/", "/{bucket}", "/{bucket}/{key+}"], local.verbs) :
    "${pair[1]} ${pair[0]}" => { path = pair[0], verb = pair[1] }
  }
}

resource "aws_api_gateway_rest_api" "site" {
  name               = local.prefix
  binary_media_types = ["*/*"]
  endpoint_configuration {
    types = ["REGIONAL"]
  }
}

resource "aws_api_gateway_resource" "bucket" {
  rest_api_id = aws_api_gateway_rest_api.site.id
  parent_id   = aws_api_gateway_rest_api.site.root_resource_id
  path_part   = "{bucket}"
}

resource "aws_api_gateway_resource" "key" {
  rest_api_id = aws_api_gateway_rest_api.site.id
  parent_id   = aws_api_gateway_resource.bucket.id
  path_part   = "{key+}"
}

resource "aws_api_gateway_method" "each" {
  for_each      = local.routes
  rest_api_id   = aws_api_gateway_rest_api.site.id
  resource_id   = local.paths[each.value.path]
  http_method   = each.value.verb
  authorization = "NONE"
}

resource "aws_api_gateway_integration" "each" {
  for_each                = local.routes
  rest_api_id             = aws_api_gateway_rest_api.site.id
  resource_id             = local.paths[each.value.path]
  http_method             = aws_api_gateway_method.each[each.key].http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = aws_lambda_function.each["api_handler"].invoke_arn
}

resource "aws_api_gateway_deployment" "site" {
  rest_api_id = aws_api_gateway_rest_api.site.id
  triggers = {
    is = sha256(jsonencode([local.routes, local.answers, aws_lambda_function.each["api_handler"].invoke_arn]))
  }
  lifecycle {
    create_before_destroy = true
  }
  depends_on = [aws_api_gateway_integration.each, aws_api_gateway_gateway_response.each]
}

resource "aws_api_gateway_stage" "s3" {
  rest_api_id   = aws_api_gateway_rest_api.site.id
  deployment_id = aws_api_gateway_deployment.site.id
  stage_name    = "s3"
  dynamic "access_log_settings" {
    for_each = aws_cloudwatch_log_group.api
    content {
      destination_arn = access_log_settings.value.arn
      # No query: a presigned URL's signature stands there.
      format = jsonencode({
        request     = "$context.requestId", extended = "$context.extendedRequestId", at = "$context.requestTime",
        from        = "$context.identity.sourceIp", method = "$context.httpMethod", path = "$context.path",
        status      = "$context.status", bytes = "$context.responseLength", ms = "$context.responseLatency",
        function_ms = "$context.integrationLatency", problem = "$context.error.responseType"
      })
    }
  }
  depends_on = [aws_api_gateway_account.here]
}

resource "aws_api_gateway_method_settings" "all" {
  rest_api_id = aws_api_gateway_rest_api.site.id
  stage_name  = aws_api_gateway_stage.s3.stage_name
  method_path = "*/*"
  settings {
    throttling_rate_limit  = var.api_rate
    throttling_burst_limit = var.api_burst
    metrics_enabled        = true
    data_trace_enabled     = false
  }
}

resource "aws_lambda_permission" "api" {
  function_name = aws_lambda_function.each["api_handler"].function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.site.execution_arn}/*"
}

resource "aws_cloudwatch_log_group" "api" {
  count             = var.api_logs == "off" ? 0 : 1
  name              = "/aws/apigateway/${local.prefix}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.site.arn
}

# Of the account and region, not of the site.
resource "aws_iam_role" "api_logs" {
  count = var.api_logs == "make-role" ? 1 : 0
  name  = "${local.prefix}-api-logs"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "apigateway.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy_attachment" "api_logs" {
  count      = var.api_logs == "make-role" ? 1 : 0
  role       = aws_iam_role.api_logs[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}

resource "aws_api_gateway_account" "here" {
  count               = var.api_logs == "make-role" ? 1 : 0
  cloudwatch_role_arn = aws_iam_role.api_logs[0].arn
  depends_on          = [aws_iam_role_policy_attachment.api_logs]
}

resource "aws_lambda_function_url" "gateway" {
  function_name      = aws_lambda_function.each["gateway"].function_name
  authorization_type = "NONE"
  invoke_mode        = "BUFFERED"
}

# Two since October 2025: to call the URL, and to invoke the function by it.
resource "aws_lambda_permission" "url" {
  function_name          = aws_lambda_function.each["gateway"].function_name
  action                 = "lambda:InvokeFunctionUrl"
  principal              = "*"
  function_url_auth_type = "NONE"
}

resource "aws_lambda_permission" "by_url" {
  function_name            = aws_lambda_function.each["gateway"].function_name
  action                   = "lambda:InvokeFunction"
  principal                = "*"
  invoked_via_function_url = true
}
