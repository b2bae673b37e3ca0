# What roles are put together from, each one thing that a function may do. None may make or remove a table, bucket,
# queue, key or log group; only `remove_blocks` deletes objects, and only collect has it.

locals {
  table_arns = [for name in sort(tolist(local.tables)) : aws_dynamodb_table.each[name].arn]
  objects    = ["${aws_s3_bucket.blocks.arn}/blocks/*", "${aws_s3_bucket.blocks.arn}/manifests/*"]
  key        = aws_kms_key.site.arn
  via_tables = { StringEquals = { "kms:ViaService" = "dynamodb.${var.region}.amazonaws.com" } }
  via_blocks = { StringEquals = {
    "kms:ViaService"                   = "s3.${var.region}.amazonaws.com"
    "kms:EncryptionContext:aws:s3:arn" = aws_s3_bucket.blocks.arn
  } }
  of_site = { StringEquals = { "kms:EncryptionContext:causeway:site" = var.site } }

  may_write  = ["dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"]
  may_take   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"] # what Lambda does for a function
  may_mend   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
  key_writes = ["kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]

  # TransactGetItems is allowed by GetItem, TransactWriteItems by PutItem, DeleteItem and ConditionCheckItem.
  # DynamoDB uses the tables' key in the name of whoever reads or writes, and of nobody else.
  read_tables = [
    { Effect = "Allow", Action = ["dynamodb:GetItem", "dynamodb:Query"], Resource = local.table_arns },
    {
      Effect    = "Allow"
      Action    = concat(["kms:Decrypt", "kms:DescribeKey"], local.key_writes)
      Resource  = [local.key]
      Condition = local.via_tables
    },
  ]
  write_tables = [
    { Effect = "Allow", Action = local.may_write, Resource = local.table_arns },
  ]
  # What a sender notes; it changes no record, no listing, no user and no bucket.
  write_progress = [
    { Effect = "Allow", Action = local.may_write, Resource = [for name in ["outbox", "tree", "uploads"] : aws_dynamodb_table.each[name].arn] },
    # Whom it reached, how far a run is, and what a start tries; never who the site is, its links and its keys.
    {
      Effect    = "Allow"
      Action    = ["dynamodb:PutItem", "dynamodb:DeleteItem"]
      Resource  = [aws_dynamodb_table.each["site"].arn]
      Condition = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["contact", "fullsync", "probe"] } }
    },
    { Effect = "Allow", Action = ["dynamodb:ConditionCheckItem"], Resource = [aws_dynamodb_table.each["site"].arn] },
  ]
  read_blocks = [
    { Effect = "Allow", Action = ["s3:GetObject"], Resource = local.objects },
    { Effect = "Allow", Action = ["s3:ListBucket"], Resource = [aws_s3_bucket.blocks.arn] },
    { Effect = "Allow", Action = ["kms:Decrypt"], Resource = [local.key], Condition = local.via_blocks },
  ]
  write_blocks = [
    { Effect = "Allow", Action = ["s3:PutObject"], Resource = local.objects },
    { Effect = "Allow", Action = ["kms:GenerateDataKey"], Resource = [local.key], Condition = local.via_blocks },
  ]
  open_key = [
    {
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = concat([local.key], var.master_key_arn == "" ? [] : [var.master_key_arn])
      Condition = local.of_site
    },
  ]
  sends = concat(local.read_tables, local.write_progress, local.read_blocks, local.write_blocks, local.open_key, local.read_over_tables, local.over_tables)
  http  = concat(local.read_tables, local.write_tables, local.read_blocks, local.write_blocks, local.open_key, local.read_over_tables)

  # `causeway failed` lists, retries and drops dead letters; a fullsync asked for begins at once.
  failed = [
    { Effect = "Allow", Action = local.may_mend, Resource = [for queue in aws_sqs_queue.dead : queue.arn] },
    { Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [for queue in aws_sqs_queue.alive : queue.arn] },
  ]
  take = { for name, queue in aws_sqs_queue.alive : name => [
    { Effect = "Allow", Action = local.may_take, Resource = [queue.arn] },
  ] }
  give_to_dead = { for name, queue in aws_sqs_queue.dead : name => [
    { Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [queue.arn] },
  ] }
  note_runs = [
    {
      Effect    = "Allow"
      Action    = ["dynamodb:PutItem"]
      Resource  = [aws_dynamodb_table.each["site"].arn]
      Condition = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["fullsync", "probe"] } }
    },
  ]
  start_runs = [
    { Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [aws_sqs_queue.alive["fullsync"].arn] },
  ]
  # An upload goes only if the key's record is what it was when GC looked.
  collect = [
    { Effect = "Allow", Action = local.may_write, Resource = [aws_dynamodb_table.each["uploads"].arn] },
    { Effect = "Allow", Action = ["dynamodb:ConditionCheckItem"], Resource = [aws_dynamodb_table.each["keys"].arn] },
    # A bucket whose DeleteBucket died is opened again, and linked sites are told.
    { Effect = "Allow", Action = ["dynamodb:PutItem"], Resource = [for name in ["buckets", "outbox"] : aws_dynamodb_table.each[name].arn] },
    { Effect = "Allow", Action = ["dynamodb:ConditionCheckItem"], Resource = [aws_dynamodb_table.each["site"].arn] },
    { Effect = "Allow", Action = ["s3:PutObject"], Resource = ["${aws_s3_bucket.blocks.arn}/manifests/bucket/*"] },
    { Effect = "Allow", Action = ["kms:GenerateDataKey"], Resource = [local.key], Condition = local.via_blocks },
  ]
  remove_blocks = [
    { Effect = "Allow", Action = ["s3:DeleteObject"], Resource = local.objects },
  ]
  # The master key and the first administrator of a new site.
  found = [
    { Effect = "Allow", Action = ["dynamodb:PutItem"], Resource = [for name in ["users", "site", "outbox"] : aws_dynamodb_table.each[name].arn] },
    { Effect = "Allow", Action = ["s3:PutObject"], Resource = ["${aws_s3_bucket.blocks.arn}/manifests/user/*"] },
    { Effect = "Allow", Action = ["kms:GenerateDataKey"], Resource = [local.key], Condition = local.via_blocks },
    { Effect = "Allow", Action = ["kms:GenerateDataKey"], Resource = [local.key], Condition = local.of_site },
  ]

  # A link that applies over the sink's tables. Reading them says who the sink is, and serves proxy_get; writing is
  # for those who send: the sink's rows, but never who it is and whom it is linked with.
  sinks    = var.sink == null ? [] : [var.sink]
  via_sink = { StringLike = { "kms:ViaService" = ["dynamodb.*.amazonaws.com", "s3.*.amazonaws.com"] } }
  read_over_tables = flatten([for sink in local.sinks : [
    {
      Effect    = "Allow"
      Action    = ["dynamodb:GetItem", "dynamodb:Query"]
      Resource  = [for name in sort(tolist(local.tables)) : "${sink.tables_arn}-${name}"]
      Condition = {}
    },
    {
      Effect    = "Allow"
      Action    = ["s3:GetObject"]
      Resource  = ["${sink.bucket_arn}/blocks/*", "${sink.bucket_arn}/manifests/*"]
      Condition = {}
    },
    { Effect = "Allow", Action = ["s3:ListBucket"], Resource = [sink.bucket_arn], Condition = {} },
    { Effect = "Allow", Action = ["kms:Decrypt", "kms:DescribeKey"], Resource = [sink.key_arn], Condition = local.via_sink },
  ]])
  over_tables = flatten([for sink in local.sinks : [
    {
      Effect    = "Allow"
      Action    = local.may_write
      Resource  = [for name in sort(tolist(local.tables)) : "${sink.tables_arn}-${name}" if name != "site"]
      Condition = {}
    },
    { Effect = "Allow", Action = ["dynamodb:ConditionCheckItem"], Resource = ["${sink.tables_arn}-site"], Condition = {} },
    {
      Effect    = "Allow"
      Action    = ["s3:PutObject"]
      Resource  = ["${sink.bucket_arn}/blocks/*", "${sink.bucket_arn}/manifests/*"]
      Condition = {}
    },
    { Effect = "Allow", Action = local.key_writes, Resource = [sink.key_arn], Condition = local.via_sink },
  ]])
}
