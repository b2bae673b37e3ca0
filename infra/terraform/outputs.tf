# The outputs of the CloudFormation stack, in Terraform's spelling.

output "endpoint_url" {
  description = "The REST API, with its stage: sign for this path."
  value       = "${aws_api_gateway_stage.s3.invoke_url}/"
}
output "gateway_url" {
  description = "The Function URL, for S3 clients and for other sites' links."
  value       = aws_lambda_function_url.gateway.function_url
}
output "blocks_bucket" {
  value = aws_s3_bucket.blocks.bucket
}
output "blocks_bucket_arn" {
  value = aws_s3_bucket.blocks.arn
}
output "site_key_arn" {
  value = aws_kms_key.site.arn
}
output "table_prefix" {
  value = local.prefix
}
output "tables_arn" {
  description = "What another site's module takes as sink.tables_arn."
  value       = "arn:${local.partition}:dynamodb:${local.here}:table/${local.prefix}"
}
output "documents_queue_url" {
  value = aws_sqs_queue.alive["documents"].url
}
output "documents_dead_queue_url" {
  value = aws_sqs_queue.dead["documents"].url
}
output "fullsync_queue_url" {
  value = aws_sqs_queue.alive["fullsync"].url
}
output "fullsync_dead_queue_url" {
  value = aws_sqs_queue.dead["fullsync"].url
}
output "administrator_name" {
  description = "What makes the first administrator, invoked once."
  value       = aws_lambda_function.each["administrator"].function_name
}
