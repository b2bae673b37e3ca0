# Who and where we are, and the names everything else uses: those of the CloudFormation template.

data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}
data "aws_region" "here" {
  lifecycle {
    postcondition {
      condition     = self.region == var.region
      error_message = "The package is for ${var.region}, the provider for ${self.region}: set AWS_REGION=${var.region}, or pass the other provider."
    }
  }
}

locals {
  account   = data.aws_caller_identity.here.account_id
  partition = data.aws_partition.here.partition
  suffix    = data.aws_partition.here.dns_suffix
  prefix    = "causeway-${var.site}"
  bucket    = "${local.prefix}-blocks${var.blocks_bucket_suffix}"
  tables    = toset(["keys", "listing", "uploads", "outbox", "incomplete", "tree", "users", "buckets", "site"])
  here      = "${var.region}:${local.account}"
  no_tls = {
    Sid       = "OnlyTls"
    Effect    = "Deny"
    Principal = "*"
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }
}
