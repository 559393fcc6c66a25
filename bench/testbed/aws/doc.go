// Package aws emulates the parts of Auto Scaling, EC2 and SQS that a node scaler uses, over HTTP on one local port:
// groups that launch, repair and return instances, instances that become Nodes, and control over what goes wrong.
package aws
