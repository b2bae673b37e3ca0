# Function URLs need a second permission since October 2025, `invoked_via_function_url`. 6.69 is what tests check against.
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.69"
    }
  }
}
