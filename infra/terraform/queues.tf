# Wake-ups, never contents; what is owed stands in the outbox. SSE-SQS: see infra/cloudformation/queues.yaml.
# The visibility timeout is six times the function's (AWS's advice for event sources).

locals {
  queues = { documents = "on_documents", fullsync = "fullsync_step" }
  arns   = { for name, _ in local.queues : name => "arn:${local.partition}:sqs:${local.here}:${local.prefix}-${name}" }
}

resource "aws_sqs_queue" "alive" {
  for_each                   = local.queues
  name                       = "${local.prefix}-${each.key}"
  sqs_managed_sse_enabled    = true
  visibility_timeout_seconds = 6 * var.functions[each.value].timeout
  message_retention_seconds  = 345600
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead[each.key].arn
    maxReceiveCount     = 5
  })
}

resource "aws_sqs_queue" "dead" {
  for_each                  = local.queues
  name                      = "${local.prefix}-${each.key}-dead"
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 1209600
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.arns[each.key]]
  })
}

locals {
  policed = merge(
    { for name, queue in aws_sqs_queue.alive : name => queue },
    { for name, queue in aws_sqs_queue.dead : "${name}-dead" => queue },
  )
  events_of_the_block_bucket = {
    Sid       = "EventsOfTheBlockBucket"
    Effect    = "Allow"
    Principal = { Service = "s3.amazonaws.com" }
    Action    = "sqs:SendMessage"
    Resource  = aws_sqs_queue.alive["documents"].arn
    Condition = {
      ArnEquals    = { "aws:SourceArn" = "arn:${local.partition}:s3:::${local.bucket}" }
      StringEquals = { "aws:SourceAccount" = local.account }
    }
  }
}

resource "aws_sqs_queue_policy" "each" {
  for_each  = toset(["documents", "documents-dead", "fullsync", "fullsync-dead"])
  queue_url = local.policed[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for statement in [local.events_of_the_block_bucket] : statement if each.key == "documents"],
      [merge(local.no_tls, { Action = "sqs:*", Resource = local.policed[each.key].arn })],
    )
  })
}
