# What calls the functions beside HTTP: queues with partial batch responses, schedules.

locals {
  schedules = { sweep = "rate(1 minute)", fullsync = "rate(1 minute)", collect = "rate(1 hour)" }
  sources = {
    on_documents  = { queue = "documents", batch = 10, at_once = var.documents_concurrency }
    fullsync_step = { queue = "fullsync", batch = 1, at_once = var.fullsync_concurrency }
  }
}

resource "aws_lambda_event_source_mapping" "each" {
  for_each                           = local.sources
  event_source_arn                   = aws_sqs_queue.alive[each.value.queue].arn
  function_name                      = aws_lambda_function.each[each.key].arn
  batch_size                         = each.value.batch
  maximum_batching_window_in_seconds = 0
  function_response_types            = ["ReportBatchItemFailures"]
  scaling_config {
    maximum_concurrency = each.value.at_once
  }
}

resource "aws_cloudwatch_event_rule" "each" {
  for_each            = local.schedules
  name                = "${local.prefix}-${each.key}"
  schedule_expression = each.value
}

resource "aws_cloudwatch_event_target" "each" {
  for_each  = local.schedules
  rule      = aws_cloudwatch_event_rule.each[each.key].name
  target_id = each.key
  arn       = aws_lambda_function.each[each.key].arn
}

resource "aws_lambda_permission" "schedule" {
  for_each      = local.schedules
  function_name = aws_lambda_function.each[each.key].function_name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.each[each.key].arn
}
