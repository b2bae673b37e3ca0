# The packaged zips as functions, with their logs. The zips are those of CloudFormation, byte for byte.

locals {
  made_here = {
    CAUSEWAY_BLOCKS_BUCKET        = aws_s3_bucket.blocks.bucket
    CAUSEWAY_DOCUMENTS_QUEUE      = aws_sqs_queue.alive["documents"].url
    CAUSEWAY_DOCUMENTS_DEAD_QUEUE = aws_sqs_queue.dead["documents"].url
    CAUSEWAY_FULLSYNC_QUEUE       = aws_sqs_queue.alive["fullsync"].url
    CAUSEWAY_FULLSYNC_DEAD_QUEUE  = aws_sqs_queue.dead["fullsync"].url
    CAUSEWAY_KMS_KEY              = var.master_key_arn == "" ? "alias/${local.prefix}" : var.master_key_arn
    CAUSEWAY_PUBLIC_URL           = var.public_url
    CAUSEWAY_BLOCKS_ENDPOINT      = var.minio.endpoint
    CAUSEWAY_BLOCKS_ACCESS_KEY    = var.minio.access_key
    CAUSEWAY_BLOCKS_SECRET_KEY    = var.minio.secret_key
    CAUSEWAY_EVENTS_TOKEN         = var.minio.events_token
  }
}

resource "aws_lambda_layer_version" "libraries" {
  layer_name               = "${local.prefix}-managed-layer"
  filename                 = var.layer_zip
  source_code_hash         = filebase64sha256(var.layer_zip)
  compatible_runtimes      = [var.runtime]
  compatible_architectures = ["x86_64"]
  skip_destroy             = true # a function going back to its last version needs its last layer
}

# Named here, so that no function needs to make one, and none is left without an end.
resource "aws_cloudwatch_log_group" "each" {
  for_each          = var.functions
  name              = "/aws/lambda/${local.prefix}-${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.site.arn
}

resource "aws_lambda_function" "each" {
  for_each         = var.functions
  function_name    = "${local.prefix}-${each.key}"
  role             = aws_iam_role.each[each.key].arn
  runtime          = var.runtime
  architectures    = ["x86_64"]
  handler          = each.value.handler
  timeout          = each.value.timeout
  memory_size      = each.value.memory_size
  filename         = var.deployment_zip
  source_code_hash = filebase64sha256(var.deployment_zip)
  layers           = [aws_lambda_layer_version.libraries.arn]

  environment {
    variables = merge(each.value.environment, local.made_here)
  }
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.each[each.key].name
  }
  depends_on = [aws_iam_role_policy.each, aws_kms_alias.site]
}

# Nobody waits for these: the next schedule, or the sweep, does what one left undone.
resource "aws_lambda_function_event_invoke_config" "each" {
  for_each                     = var.functions
  function_name                = aws_lambda_function.each[each.key].function_name
  qualifier                    = "$LATEST"
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60
}
