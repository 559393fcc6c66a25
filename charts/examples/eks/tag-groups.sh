#!/usr/bin/env bash
# Puts swell's tags on the Auto Scaling groups of a cluster's managed node groups, which EKS does not: tag-groups.sh CLUSTER
set -euo pipefail
cluster=${1:?the name of the cluster}
for nodegroup in $(aws eks list-nodegroups --cluster-name "$cluster" --query 'nodegroups[]' --output text); do
  case $nodegroup in
    spot-*) market=spot ;;
    ondemand-*) market=on-demand ;;
    *) continue ;;
  esac
  group=$(aws eks describe-nodegroup --cluster-name "$cluster" --nodegroup-name "$nodegroup" --query 'nodegroup.resources.autoScalingGroups[0].name' --output text)
  for tag in "swell/pool=$cluster-general" "swell/cluster=$cluster" "swell/market=$market"; do
    aws autoscaling create-or-update-tags --tags "ResourceId=$group,ResourceType=auto-scaling-group,Key=${tag%%=*},Value=${tag#*=},PropagateAtLaunch=false"
  done
  echo "$nodegroup: $group"
done
