# The nine tables of ports/metadata.py.

resource "aws_dynamodb_table" "each" {
  for_each                    = local.tables
  name                        = "${local.prefix}-${each.key}"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  range_key                   = "sk"
  deletion_protection_enabled = var.keep

  attribute {
    name = "pk"
    type = "S"
  }
  attribute {
    name = "sk"
    type = "B"
  }
  point_in_time_recovery {
    enabled = true
  }
  server_side_encryption {
    enabled     = true
    kms_key_arn = aws_kms_key.site.arn
  }
  lifecycle {
    prevent_destroy = true
  }
}
