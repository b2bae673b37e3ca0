# 6.30: function URLs need a second permission since October 2025, `invoked_via_function_url`.
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.30"
    }
  }
}
