// octroi/vault/packs/aws/aws.h: Amazon Web Services: requests are signed with the vault key's
// secret, verified, judged by service and action, and signed anew with the real key.
//
// Operations  "s3.PutObject", "dynamodb.PutItem", "ses.SendEmail", "sns.Publish": by X-Amz-Target,
//             by Action, or by method and path (S3, addressed by path; SES version 2). What is not
//             found is not known. IAM, Organizations and STS (but GetCallerIdentity) are not known
//             either: they make keys.
// Amounts     mail and messages have a list price; reading, S3, DynamoDB, SQS and the like move
//             nothing; everything else (machines, text messages) is unknown.
// Fields      bucket and key of S3, topics and numbers of SNS, the parameters of the query
//             protocol, the members of JSON bodies, and every x-amz-… field that the service may
//             act on.
// Thread      pure.   Source  service references of AWS; octroi/vault/sigv4.h.
#pragma once

#include <memory>

#include "octroi/vault/pack.h"

namespace octroi::vault {

[[nodiscard]] std::unique_ptr<VendorPack> make_aws_pack(const VendorSettings& vendor);

}  // namespace octroi::vault
