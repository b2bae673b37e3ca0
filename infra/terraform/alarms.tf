# The alarms of infra/cloudformation: of the site, of each function, of each table. docs/operations/alarms.md says
# what to do about each.

locals {
  told = concat(aws_sns_topic.alarms[*].arn, [for topic in [var.alarm_topic] : topic if topic != ""])
}

resource "aws_sns_topic" "alarms" {
  count             = var.alarm_email == "" ? 0 : 1
  name              = "${local.prefix}-alarms"
  kms_master_key_id = aws_kms_key.site.arn
}

resource "aws_sns_topic_subscription" "alarms" {
  count     = var.alarm_email == "" ? 0 : 1
  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

resource "aws_cloudwatch_metric_alarm" "lag" {
  alarm_name          = "${local.prefix}-lag"
  alarm_description   = "A sink is behind; `causeway status` says which, by how much and why."
  namespace           = "Causeway"
  metric_name         = "lag_seconds"
  dimensions          = { service = "causeway", site = var.site }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 3
  datapoints_to_alarm = 3
  threshold           = var.lag_alarm_seconds
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching" # a site without links has no lag; a sweep that stopped is the next alarm
  alarm_actions       = local.told
  ok_actions          = local.told
}

resource "aws_cloudwatch_metric_alarm" "sweep_stopped" {
  alarm_name          = "${local.prefix}-sweep-stopped"
  alarm_description   = "The sweep has not run for 15 minutes; nothing lost is found again until it does."
  namespace           = "AWS/Lambda"
  metric_name         = "Invocations"
  dimensions          = { FunctionName = aws_lambda_function.each["sweep"].function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = local.told
  ok_actions          = local.told
}

resource "aws_cloudwatch_metric_alarm" "requests_failing" {
  alarm_name          = "${local.prefix}-requests-failing"
  alarm_description   = "Clients are answered 5xx, which Lambda counts as success; the functions' logs say why."
  namespace           = "Causeway"
  metric_name         = "request_failures"
  dimensions          = { service = "causeway", site = var.site }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 2
  datapoints_to_alarm = 2
  threshold           = 10
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told
}

resource "aws_cloudwatch_metric_alarm" "dead" {
  for_each            = local.queues
  alarm_name          = "${local.prefix}-${each.key}-dead"
  alarm_description   = "Messages that could not be dealt with; `causeway failed` shows them and their reasons."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead[each.key].name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  for_each            = var.functions
  alarm_name          = "${local.prefix}-${each.key}-errors"
  alarm_description   = "The function ended in errors or ran out of time; its log group says why."
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = aws_lambda_function.each[each.key].function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told
}

resource "aws_cloudwatch_metric_alarm" "throttles" {
  for_each            = var.functions
  alarm_name          = "${local.prefix}-${each.key}-throttles"
  alarm_description   = "The account has no more room for the function to run at once."
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  dimensions          = { FunctionName = aws_lambda_function.each[each.key].function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told
}
