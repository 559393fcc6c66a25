# Auto Scaling groups for swell: one for each zone and market, with the tags that swell and cluster-autoscaler read.

terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40"
    }
  }
}

locals {
  groups = {
    for pair in setproduct(keys(var.subnets), ["spot", "on-demand"]) :
    "${var.cluster}-${var.pool}-${pair[1]}-${pair[0]}" => { zone = pair[0], market = pair[1] }
  }
  labels = merge(var.labels, { "swell/pool" = var.pool })
}

resource "aws_launch_template" "nodes" {
  for_each = toset(["spot", "on-demand"])

  name                   = "${var.cluster}-${var.pool}-${each.key}"
  image_id               = var.image_id
  user_data              = var.user_data
  update_default_version = true

  iam_instance_profile {
    name = var.instance_profile
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  network_interfaces {
    security_groups = var.security_groups
  }

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = var.volume_gib
      volume_type           = "gp3"
      delete_on_termination = true
    }
  }
}

resource "aws_autoscaling_group" "nodes" {
  for_each = local.groups

  name                = each.key
  vpc_zone_identifier = var.subnets[each.value.zone]
  min_size            = 0
  max_size            = var.max_size
  capacity_rebalance  = false # swell follows rebalance recommendations itself
  health_check_type   = "EC2"

  mixed_instances_policy {
    instances_distribution {
      on_demand_base_capacity                  = 0
      on_demand_percentage_above_base_capacity = each.value.market == "spot" ? 0 : 100
      spot_allocation_strategy                 = "price-capacity-optimized"
    }
    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.nodes[each.value.market].id
        version            = "$Latest"
      }
      dynamic "override" {
        for_each = each.value.market == "spot" ? var.spot_types : slice(var.spot_types, 0, 1)
        content {
          instance_type = override.value
        }
      }
    }
  }

  # what swell selects by, and whose the group is
  tag {
    key                 = "swell/pool"
    value               = "${var.cluster}-${var.pool}"
    propagate_at_launch = false
  }
  tag {
    key                 = "swell/cluster"
    value               = var.cluster
    propagate_at_launch = false
  }
  tag {
    key                 = "swell/market"
    value               = each.value.market
    propagate_at_launch = false
  }
  tag {
    key                 = "kubernetes.io/cluster/${var.cluster}"
    value               = "owned"
    propagate_at_launch = true
  }

  # what a node of the group will be, before there is one
  dynamic "tag" {
    for_each = local.labels
    content {
      key                 = "k8s.io/cluster-autoscaler/node-template/label/${tag.key}"
      value               = tag.value
      propagate_at_launch = false
    }
  }
  dynamic "tag" {
    for_each = var.taints
    content {
      key                 = "k8s.io/cluster-autoscaler/node-template/taint/${tag.key}"
      value               = tag.value
      propagate_at_launch = false
    }
  }

  # swell returns instances by their ids and changes what is wanted; Terraform must not put it back
  lifecycle {
    ignore_changes = [desired_capacity]
  }
}
