# The alarms of each table.

resource "aws_cloudwatch_metric_alarm" "throttled" {
  for_each            = local.tables
  alarm_name          = "${local.prefix}-${each.key}-throttled"
  alarm_description   = "DynamoDB throttles the table. Requests are tried again within their time, then answered SlowDown."
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  threshold           = 10
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told

  metric_query {
    id          = "all"
    expression  = "FILL(reads, 0) + FILL(writes, 0)"
    label       = "throttled"
    return_data = true
  }
  dynamic "metric_query" {
    for_each = { reads = "ReadThrottleEvents", writes = "WriteThrottleEvents" }
    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/DynamoDB"
        metric_name = metric_query.value
        dimensions  = { TableName = aws_dynamodb_table.each[each.key].name }
        stat        = "Sum"
        period      = 300
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "failing" {
  for_each            = local.tables
  alarm_name          = "${local.prefix}-${each.key}-failing"
  alarm_description   = "DynamoDB answers requests to the table with errors of its own."
  evaluation_periods  = 2
  datapoints_to_alarm = 2
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told

  metric_query {
    id          = "all"
    expression  = "FILL(gets, 0) + FILL(queries, 0) + FILL(commits, 0)"
    label       = "system errors"
    return_data = true
  }
  # CloudWatch keeps this one by operation only; these three are in every request's way.
  dynamic "metric_query" {
    for_each = { gets = "GetItem", queries = "Query", commits = "TransactWriteItems" }
    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/DynamoDB"
        metric_name = "SystemErrors"
        dimensions  = { TableName = aws_dynamodb_table.each[each.key].name, Operation = metric_query.value }
        stat        = "Sum"
        period      = 300
      }
    }
  }
}
