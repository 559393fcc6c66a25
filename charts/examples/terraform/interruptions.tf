# A queue with what EC2, Auto Scaling and AWS Health tell of instances that are about to go.

resource "aws_sqs_queue" "notices" {
  name                       = "swell-${var.cluster}"
  message_retention_seconds  = 300 # an older notice is of no use
  visibility_timeout_seconds = 30
  sqs_managed_sse_enabled    = true
}

locals {
  notices = {
    spot      = { source = "aws.ec2", type = "EC2 Spot Instance Interruption Warning" }
    rebalance = { source = "aws.ec2", type = "EC2 Instance Rebalance Recommendation" }
    state     = { source = "aws.ec2", type = "EC2 Instance State-change Notification" }
    hook      = { source = "aws.autoscaling", type = "EC2 Instance-terminate Lifecycle Action" }
    health    = { source = "aws.health", type = "AWS Health Event" }
  }
}

resource "aws_cloudwatch_event_rule" "notices" {
  for_each = local.notices

  name          = "swell-${var.cluster}-${each.key}"
  event_pattern = jsonencode({ "source" = [each.value.source], "detail-type" = [each.value.type] })
}

resource "aws_cloudwatch_event_target" "notices" {
  for_each = local.notices

  rule = aws_cloudwatch_event_rule.notices[each.key].name
  arn  = aws_sqs_queue.notices.arn # the events as they are: no input transformer
}

data "aws_iam_policy_document" "notices" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.notices.arn]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [for r in aws_cloudwatch_event_rule.notices : r.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "notices" {
  queue_url = aws_sqs_queue.notices.id
  policy    = data.aws_iam_policy_document.notices.json
}

output "queue_url" {
  description = "aws.queueURL of swell-scaler's configuration."
  value       = aws_sqs_queue.notices.url
}
