# The role of swell-scaler's ServiceAccount, with the policies of ../iam.

locals {
  oidc = element(split("oidc-provider/", var.oidc_provider_arn), 1)
  # the policy of ../iam for this pool's groups and this queue
  enforce = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for s in jsondecode(file("${path.module}/../iam/enforce.json")).Statement : merge(
        s,
        s.Sid == "Notices" ? { Resource = aws_sqs_queue.notices.arn } : {},
        s.Sid == "Groups" ? { Condition = { StringEquals = { "autoscaling:ResourceTag/swell/pool" = "${var.cluster}-${var.pool}" } } } : {},
      )
    ]
  })
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [var.oidc_provider_arn]
    }
    condition {
      test     = "StringEquals"
      variable = "${local.oidc}:sub"
      values   = ["system:serviceaccount:swell-system:swell-scaler"]
    }
    condition {
      test     = "StringEquals"
      variable = "${local.oidc}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "scaler" {
  name               = "swell-${var.cluster}"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "observe" {
  name   = "observe"
  role   = aws_iam_role.scaler.id
  policy = file("${path.module}/../iam/observe.json")
}

resource "aws_iam_role_policy" "enforce" {
  count = var.mode == "Enforce" ? 1 : 0

  name   = "enforce"
  role   = aws_iam_role.scaler.id
  policy = local.enforce
}

output "role_arn" {
  description = "eks.amazonaws.com/role-arn of the ServiceAccount."
  value       = aws_iam_role.scaler.arn
}
