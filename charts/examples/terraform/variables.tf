variable "cluster" {
  type        = string
  description = "Name of the cluster; the groups' tags begin with it, so that no two clusters share any."
}

variable "pool" {
  type        = string
  description = "Name of the CapacityPool."
  default     = "general"
}

variable "subnets" {
  type        = map(list(string))
  description = "Subnets by availability zone. Each zone gets a group in either market."
}

variable "spot_types" {
  type        = list(string)
  description = "Instance types of one size. Spot groups have all of them, on-demand groups the first."
  default     = ["m6i.4xlarge", "m6a.4xlarge", "m7i.4xlarge"]
}

variable "max_size" {
  type        = number
  description = "Maximum of each group. What holds a pool back should be its limits, not this."
  default     = 60
}

variable "labels" {
  type        = map(string)
  description = "Labels that the nodes' user data gives them."
  default     = {}
}

variable "taints" {
  type        = map(string)
  description = "Taints that the nodes' user data gives them, as key = \"value:Effect\"."
  default     = {}
}

variable "image_id" {
  type        = string
  description = "Image of the nodes, or resolve:ssm: and a parameter."
}

variable "user_data" {
  type        = string
  description = "User data in base64 by which a node joins the cluster, with the labels and taints above."
}

variable "instance_profile" {
  type = string
}

variable "security_groups" {
  type = list(string)
}

variable "volume_gib" {
  type    = number
  default = 100
}

variable "oidc_provider_arn" {
  type        = string
  description = "The cluster's OIDC provider, for IRSA."
}

variable "mode" {
  type        = string
  description = "Observe: the role may only read. Enforce: it may launch and return in this pool's groups."
  default     = "Observe"
  validation {
    condition     = contains(["Observe", "Enforce"], var.mode)
    error_message = "Give Observe or Enforce."
  }
}
