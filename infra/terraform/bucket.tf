# The blocks, and the documents whose creation starts realtime. No versioning: GC frees blocks by deleting them.

resource "aws_s3_bucket" "blocks" {
  bucket = local.bucket
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_public_access_block" "blocks" {
  bucket                  = aws_s3_bucket.blocks.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "blocks" {
  bucket = aws_s3_bucket.blocks.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "blocks" {
  bucket = aws_s3_bucket.blocks.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.site.arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "blocks" {
  bucket = aws_s3_bucket.blocks.id
  # Causeway files each block by one PUT; what an S3 multipart upload left here is nobody's.
  rule {
    id     = "abort-incomplete-multiparts"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_policy" "blocks" {
  bucket = aws_s3_bucket.blocks.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      merge(local.no_tls, {
        Action   = "s3:*"
        Resource = [aws_s3_bucket.blocks.arn, "${aws_s3_bucket.blocks.arn}/*"]
      }),
      {
        Sid       = "OnlyTls12"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.blocks.arn, "${aws_s3_bucket.blocks.arn}/*"]
        Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
      },
    ]
  })
  depends_on = [aws_s3_bucket_public_access_block.blocks]
}

resource "aws_s3_bucket_notification" "documents" {
  bucket = aws_s3_bucket.blocks.id
  queue {
    id            = "documents"
    queue_arn     = aws_sqs_queue.alive["documents"].arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "manifests/"
  }
  depends_on = [aws_sqs_queue_policy.each]
}
