# One role a function, put together from policies.tf. tests/infra compares each with the role CloudFormation makes.

locals {
  roles = {
    api_handler   = concat(local.http, local.failed)
    gateway       = concat(local.http, local.failed)
    on_documents  = concat(local.sends, local.take["documents"], local.give_to_dead["documents"])
    fullsync      = concat(local.read_tables, local.open_key, local.note_runs, local.start_runs)
    fullsync_step = concat(local.sends, local.take["fullsync"], local.give_to_dead["fullsync"], local.start_runs)
    sweep         = local.sends
    collect       = concat(local.read_tables, local.read_blocks, local.open_key, local.collect, local.remove_blocks)
    administrator = concat(local.read_tables, local.open_key, local.found)
  }
}

resource "aws_iam_role" "each" {
  for_each = toset(keys(local.roles))
  name     = "${local.prefix}-${each.key}"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "each" {
  for_each = toset(keys(local.roles))
  name     = "causeway"
  role     = aws_iam_role.each[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.roles[each.key], [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.each[each.key].arn}:*"]
    }])
  })
}
