# Two linked sites of one account: west (primary) and east. First, in the checkout:
#
#   causeway deploy package --stage west --format terraform
#   causeway deploy package --stage east --format terraform

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.69"
    }
  }
}

variable "west" {
  type        = string
  default     = "../../../../build/west/causeway.tfvars.json"
  description = "What was packaged for west."
}
variable "east" {
  type        = string
  default     = "../../../../build/east/causeway.tfvars.json"
  description = "What was packaged for east."
}
variable "blocks_bucket_suffix" {
  type        = string
  default     = ""
  description = "Bucket names are global; the same suffix does for both."
}
variable "alarm_email" {
  type    = string
  default = ""
}

locals {
  west = jsondecode(file(var.west))
  east = jsondecode(file(var.east))
}

provider "aws" {
  alias  = "west"
  region = local.west.region
}
provider "aws" {
  alias  = "east"
  region = local.east.region
}

module "west" {
  source    = "../.."
  providers = { aws = aws.west }

  site                 = local.west.site
  region               = local.west.region
  runtime              = local.west.runtime
  deployment_zip       = local.west.deployment_zip
  layer_zip            = local.west.layer_zip
  functions            = local.west.functions
  blocks_bucket_suffix = var.blocks_bucket_suffix
  alarm_email          = var.alarm_email
}

module "east" {
  source    = "../.."
  providers = { aws = aws.east }

  site                 = local.east.site
  region               = local.east.region
  runtime              = local.east.runtime
  deployment_zip       = local.east.deployment_zip
  layer_zip            = local.east.layer_zip
  functions            = local.east.functions
  blocks_bucket_suffix = var.blocks_bucket_suffix
  alarm_email          = var.alarm_email
}

output "west" {
  value = module.west.gateway_url
}
output "east" {
  value = module.east.gateway_url
}
