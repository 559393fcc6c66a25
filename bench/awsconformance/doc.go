// Package awsconformance asks the AWS emulator what AWS's documentation says that AWS answers, with AWS's own clients, and asks
// moto's server the same where moto has the operation; the answers must agree.
package awsconformance
