"""What infra/ makes, checked without an AWS account."""
