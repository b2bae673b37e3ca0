# The first block of variables is what `causeway deploy package --format terraform` leaves in causeway.tfvars.json;
# the second is what an operator may choose, as the parameters of infra/cloudformation/parameters.yaml.

variable "site" {
  type        = string
  description = "The site. Every name is derived from it."
  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$", var.site))
    error_message = "Use 1 to 20 of a-z, 0-9 and -, not beginning or ending with -."
  }
}

variable "region" {
  type        = string
  description = "Where the site is. The provider must be of the same region; nothing is made if it is not."
}

variable "runtime" {
  type        = string
  description = "Lambda's runtime, the Python that the package was made for."
}

variable "deployment_zip" {
  type        = string
  description = "Path of deployment.zip."
}

variable "layer_zip" {
  type        = string
  description = "Path of layer-deployment.zip."
}

variable "functions" {
  description = "Each function of app.py as it was packaged: handler, timeout, memory, plain environment."
  type = map(object({
    handler     = string
    timeout     = number
    memory_size = number
    environment = map(string)
  }))
  validation {
    condition = toset(keys(var.functions)) == toset([
      "api_handler", "gateway", "on_documents", "fullsync", "fullsync_step", "sweep", "collect", "administrator",
    ])
    error_message = "The package and this module are of different versions: package again in this checkout."
  }
}

variable "blocks_bucket_suffix" {
  type        = string
  default     = ""
  description = "Appended to the block bucket's name, since bucket names are global; such as -k3x9."
  validation {
    condition     = can(regex("^(-[a-z0-9-]{0,23}[a-z0-9])?$", var.blocks_bucket_suffix))
    error_message = "Use - and then up to 24 of a-z, 0-9 and -."
  }
}

variable "public_url" {
  type        = string
  default     = ""
  description = "https URL of a domain of your own in front of the site. Empty: clients use the outputs."
  validation {
    condition     = can(regex("^(https://[a-z0-9.-]+(:[0-9]{1,5})?)?$", var.public_url))
    error_message = "Use https://host or https://host:port."
  }
}

variable "log_retention_days" {
  type        = number
  default     = 30
  description = "How long logs are kept."
  validation {
    condition = contains([
      1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
    ], var.log_retention_days)
    error_message = "CloudWatch Logs keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, … 3653 days."
  }
}

variable "alarm_email" {
  type        = string
  default     = ""
  description = "Where alarms are sent to; a topic is made for it. Empty: none is made."
  validation {
    condition     = can(regex("^([^@\\s]+@[^@\\s]+)?$", var.alarm_email))
    error_message = "Use one address."
  }
}

variable "alarm_topic" {
  type        = string
  default     = ""
  description = "ARN of an SNS topic that is there already, told of every alarm as well."
  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+)?$", var.alarm_topic))
    error_message = "Use a topic's ARN."
  }
}

variable "lag_alarm_seconds" {
  type        = number
  default     = 900
  description = "A sink further behind than this for 15 minutes is an alarm."
  validation {
    condition     = var.lag_alarm_seconds >= 1
    error_message = "Use 1 or more."
  }
}

variable "api_logs" {
  type        = string
  default     = "off"
  description = "Access logs of the REST API. on: the account has the role they need; make-role: make it here."
  validation {
    condition     = contains(["off", "on", "make-role"], var.api_logs)
    error_message = "Use off, on or make-role."
  }
}

variable "api_rate" {
  type        = number
  default     = 1000
  description = "Requests a second through the REST API, beyond which clients are answered SlowDown."
}

variable "api_burst" {
  type        = number
  default     = 2000
  description = "Requests the REST API takes at once."
}

variable "documents_concurrency" {
  type        = number
  default     = 10
  description = "How many on_documents run at once."
  validation {
    condition     = var.documents_concurrency >= 2 && var.documents_concurrency <= 1000
    error_message = "SQS allows 2 to 1000."
  }
}

variable "fullsync_concurrency" {
  type        = number
  default     = 4
  description = "How many fullsync_step run at once; one link needs one."
  validation {
    condition     = var.fullsync_concurrency >= 2 && var.fullsync_concurrency <= 1000
    error_message = "SQS allows 2 to 1000."
  }
}

variable "master_key_arn" {
  type        = string
  default     = ""
  description = "ARN of another KMS key that the master key lies under, after `causeway stores rewrap`. Empty: the site's own."
}

variable "minio" {
  description = "A MinIO that holds the blocks in a bucket of the same name: endpoint, its keys, and what its webhook shows."
  type = object({
    endpoint     = string
    access_key   = string
    secret_key   = string
    events_token = string
  })
  default = { endpoint = "", access_key = "", secret_key = "", events_token = "" }
  # The values reach the state and the functions' environment, which Lambda encrypts; no plan shows them.
  sensitive = true
  validation {
    condition     = var.minio.endpoint == "" || startswith(var.minio.endpoint, "https://")
    error_message = "Use https: blocks and keys cross a network."
  }
}

variable "sink" {
  description = "Only for a link that applies over the sink's tables (docs/adr/0002): tables_arn up to the last part."
  type = object({
    tables_arn = string
    bucket_arn = string
    key_arn    = string
  })
  default = null
}

variable "keep" {
  type        = bool
  default     = true
  description = "Tables refuse to be deleted. A destroy needs false first; see docs/operations/deploy.md, Remove a site."
}
