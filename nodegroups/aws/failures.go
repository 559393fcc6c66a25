package aws

import (
	"errors"
	"fmt"
	"net"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"swell/nodegroups"
)

const throttled = nodegroups.Throttled

// classes is what each error code means for a launch. A code that ends in a dot stands for all that begin with it.
var classes = map[string]nodegroups.FailureClass{
	"InsufficientInstanceCapacity":         nodegroups.NoCapacity,
	"InsufficientHostCapacity":             nodegroups.NoCapacity,
	"InsufficientReservedInstanceCapacity": nodegroups.NoCapacity,
	"InsufficientCapacity":                 nodegroups.NoCapacity,
	"InsufficientCapacityOnOutpost":        nodegroups.NoCapacity,
	"UnfulfillableCapacity":                nodegroups.NoCapacity,
	"SpotMaxPriceTooLow":                   nodegroups.NoCapacity,
	"Unsupported":                          nodegroups.NoCapacity, // the zone does not offer the type
	"UnsupportedOperation":                 nodegroups.Unclassified,
	"Client.InternalError":                 nodegroups.NotAllowed, // the key of an encrypted volume may not be used
	"InvalidKMSKey.":                       nodegroups.NotAllowed,
	"VcpuLimitExceeded":                    nodegroups.LimitReached,
	"InstanceLimitExceeded":                nodegroups.LimitReached,
	"MaxSpotInstanceCountExceeded":         nodegroups.LimitReached,
	"SpotInstanceCountExceeded":            nodegroups.LimitReached,
	"VolumeLimitExceeded":                  nodegroups.LimitReached,
	"NetworkInterfaceLimitExceeded":        nodegroups.LimitReached,
	"MaxIOPSLimitExceeded":                 nodegroups.LimitReached,
	"LimitExceeded":                        nodegroups.LimitReached,
	"AccessDenied":                         nodegroups.NotAllowed,
	"AccessDeniedException":                nodegroups.NotAllowed,
	"UnauthorizedOperation":                nodegroups.NotAllowed,
	"AuthFailure":                          nodegroups.NotAllowed,
	"AuthFailure.":                         nodegroups.NotAllowed,
	"OptInRequired":                        nodegroups.NotAllowed,
	"PendingVerification":                  nodegroups.NotAllowed,
	"ServiceLinkedRoleFailure":             nodegroups.NotAllowed,
	"ExpiredToken":                         nodegroups.NotKnown,
	"ExpiredTokenException":                nodegroups.NotKnown,
	"InvalidClientTokenId":                 nodegroups.NotKnown,
	"SignatureDoesNotMatch":                nodegroups.NotKnown,
	"UnrecognizedClientException":          nodegroups.NotKnown,
	"MissingAuthenticationToken":           nodegroups.NotKnown,
	"IncompleteSignature":                  nodegroups.NotKnown,
	"RequestExpired":                       nodegroups.NotKnown,
	"RequestTimeTooSkewed":                 nodegroups.NotKnown,
	"InvalidAMIID.":                        nodegroups.BadTemplate,
	"InvalidBlockDeviceMapping":            nodegroups.BadTemplate,
	"InvalidGroup.":                        nodegroups.BadTemplate,
	"InvalidSecurityGroupID.":              nodegroups.BadTemplate,
	"InvalidKeyPair.":                      nodegroups.BadTemplate,
	"InvalidSnapshot.":                     nodegroups.BadTemplate,
	"InvalidSubnetID.":                     nodegroups.BadTemplate,
	"InvalidIamInstanceProfile":            nodegroups.BadTemplate,
	"InvalidIamInstanceProfileArn.":        nodegroups.BadTemplate,
	"InvalidInstanceType":                  nodegroups.BadTemplate,
	"InvalidLaunchTemplateId.":             nodegroups.BadTemplate,
	"InvalidLaunchTemplateName.":           nodegroups.BadTemplate,
	"InvalidParameterValue":                nodegroups.BadTemplate,
	"InvalidParameterCombination":          nodegroups.BadTemplate,
	"InvalidParameter":                     nodegroups.BadTemplate,
	"InvalidUserData.":                     nodegroups.BadTemplate,
	"InvalidFleetConfiguration":            nodegroups.BadTemplate,
	"UnsupportedHibernationConfiguration":  nodegroups.BadTemplate,
	"MissingParameter":                     nodegroups.BadTemplate,
	"Throttling":                           nodegroups.Throttled,
	"ThrottlingException":                  nodegroups.Throttled,
	"ThrottledException":                   nodegroups.Throttled,
	"RequestThrottled":                     nodegroups.Throttled,
	"RequestThrottledException":            nodegroups.Throttled,
	"RequestLimitExceeded":                 nodegroups.Throttled,
	"TooManyRequestsException":             nodegroups.Throttled,
	"EC2ThrottledException":                nodegroups.Throttled,
	"SlowDown":                             nodegroups.Throttled,
	"InsufficientFreeAddressesInSubnet":    nodegroups.NoAddresses,
	"InsufficientAddressCapacity":          nodegroups.NoAddresses,
	"PrivateIpAddressLimitExceeded":        nodegroups.NoAddresses,
	"InsufficientCidrBlocks":               nodegroups.NoAddresses,
	"ReservationCapacityExceeded":          nodegroups.NoCapacity,
	"InsufficientVolumeCapacity":           nodegroups.NoCapacity,
	"InvalidAvailabilityZone":              nodegroups.BadTemplate,
	"InternalError":                        nodegroups.Unclassified,
	"IdempotentParameterMismatch":          nodegroups.Unclassified,
}

// Classify says what an error code means for a launch. The message decides only for ValidationError, which covers a group's
// bounds as well as a broken launch template, and for whatever is of a broken template by its code, as InvalidFleetConfiguration is:
// it may be of a type that the zone does not offer.
func Classify(code, message string) nodegroups.FailureClass {
	lower := strings.ToLower(message)
	class := classOf(code, lower)
	if class == nodegroups.BadTemplate && strings.Contains(lower, notOffered) {
		return nodegroups.NoCapacity
	}
	return class
}

// classOf a code, and of a message in lower case where the code is ValidationError.
func classOf(code, lower string) nodegroups.FailureClass {
	if class, ok := classes[code]; ok {
		return class
	}
	// scaling activities put the side that is at fault before the code
	code = strings.TrimPrefix(strings.TrimPrefix(code, "Client."), "Server.")
	if class, ok := classes[code]; ok {
		return class
	}
	if at := strings.IndexByte(code, '.'); at >= 0 {
		if class, ok := classes[code[:at+1]]; ok {
			return class
		}
	}
	if code == "ValidationError" {
		switch {
		case strings.Contains(lower, "max size"), strings.Contains(lower, "max value"), strings.Contains(lower, "exceeds the limit"):
			return nodegroups.LimitReached
		case strings.Contains(lower, "group name not found"), strings.Contains(lower, "launch template"), strings.Contains(lower, "launchtemplate"), strings.Contains(lower, "image"), strings.Contains(lower, "ami "):
			return nodegroups.BadTemplate
		}
	}
	return nodegroups.Unclassified
}

// notOffered is in the message of a type, or its spot market, that a zone does not have.
const notOffered = "not supported in your requested availability zone"

// codeOf an AWS error; empty for what no AWS service answered.
func codeOf(err error) string {
	var api smithy.APIError
	// the SDK calls an answer that it cannot read UnknownError
	if errors.As(err, &api) && api.ErrorCode() != "UnknownError" {
		return api.ErrorCode()
	}
	return ""
}

// unsure reports whether a call may have had its effect in spite of the error.
func unsure(err error) bool {
	var response *smithyhttp.ResponseError
	if isAfterLost(err) || codeOf(err) == "" || !errors.As(err, &response) {
		return true
	}
	switch codeOf(err) {
	case "IdempotentCallInProgress", "ResourceContention":
		return true
	case "ServiceLinkedRoleFailure": // a refusal, though its status is 500
		return false
	}
	return response.HTTPStatusCode() >= 500 && Classify(codeOf(err), "") != throttled
}

// ofGroup reports whether an error is a definite refusal of what a group names, so that other groups may still be read.
func ofGroup(err error) bool {
	class := Classify(codeOf(err), messageOf(err))
	return !unsure(err) && class != throttled && class != nodegroups.NotAllowed && class != nodegroups.NotKnown
}

// explain wraps an error with what was being done and how to mend it.
func (c *Client) explain(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	var network net.Error
	var op *net.OpError
	endpoint := c.options.Endpoint
	if endpoint == "" {
		endpoint = "AWS in region " + c.options.Region
	}
	code := codeOf(err)
	switch {
	case code == "" && (errors.As(err, &op) || errors.As(err, &network)):
		return fmt.Errorf("%s: %w; %s did not answer: check the endpoint, the region and the network", what, err, endpoint)
	case code == "":
		var canceled *awssdk.RequestCanceledError
		if errors.As(err, &canceled) {
			return fmt.Errorf("%s: %w; it was given up, try again", what, err)
		}
		return fmt.Errorf("%s: %w; check that %s is an AWS endpoint and that credentials are configured", what, err, endpoint)
	}
	return fmt.Errorf("%s: %w; %s", what, err, mends[Classify(code, messageOf(err))])
}

// mendOf is what mends an error of one action.
func mendOf(err error, action string) string {
	if Classify(codeOf(err), messageOf(err)) == nodegroups.NotAllowed {
		return "allow " + action
	}
	return mends[Classify(codeOf(err), messageOf(err))]
}

func messageOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorMessage()
	}
	return ""
}

var mends = map[nodegroups.FailureClass]string{
	nodegroups.NoCapacity:   "another zone, market or type may have capacity",
	nodegroups.LimitReached: "raise the group's maximum or the account's quota",
	nodegroups.NotAllowed:   "allow the action in the IAM policy, and the key of its volumes to the service-linked role of Auto Scaling",
	nodegroups.NotKnown:     "check the credentials that swell-scaler runs with, and this machine's clock",
	nodegroups.BadTemplate:  "correct the group's launch template",
	nodegroups.Throttled:    "fewer calls are made until the service recovers; nothing needs doing",
	nodegroups.NoAddresses:  "give the group a subnet with free addresses",
	nodegroups.Unclassified: "check that the group and the instance exist in this region, and what the message says",
}
