#include "octroi/vault/packs/aws/aws.h"

#include <gmock/gmock.h>

#include "octroi/vault/sigv4.h"

namespace octroi::vault {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using enum policy::AmountState;
using enum policy::Direction;

struct Asked {
  std::string service;
  std::string method = "POST";
  std::string target = "/";
  std::string type = "";
  std::string body = "";
  std::vector<std::pair<const char*, std::string>> more = {};
};

struct Read {
  Operation operation;
  policy::Call call;
};
Result<Read> read_call(Asked asked) {
  const auto pack = make_aws_pack({});
  http::RequestHead head;
  head.target = asked.target;
  Input in;
  in.method = asked.method;
  in.path = std::string(head.path());
  in.query = *Form::parse(head.query(), pack->query_rules());
  in.body = asked.body;
  in.body_kind = asked.body.empty() ? BodyKind::none : BodyKind::other;
  in.scope = {"eu-west-1", asked.service};
  if (!asked.type.empty()) head.headers.add("Content-Type", asked.type);
  for (const auto& [name, value] : asked.more) head.headers.add(name, value);
  Read out;
  OCTROI_TRY(out.operation, pack->name(pack->route(in.method, in.path), head.headers, in));
  OCTROI_TRY(out.call, pack->extract(out.operation, in));
  return out;
}
constexpr const char* kForm = "application/x-www-form-urlencoded; charset=utf-8";
constexpr const char* kJson = "application/x-amz-json-1.0";

struct Row {
  const char* name;
  Asked asked;
  const char* operation;
  policy::Direction direction;
  policy::AmountState amount;
};
class AwsOperations : public ::testing::TestWithParam<Row> {};
TEST_P(AwsOperations, AreNamed) {
  const auto got = read_call(GetParam().asked);
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->operation.name, GetParam().operation);
  EXPECT_EQ(got->call.direction, GetParam().direction);
  EXPECT_EQ(got->call.amount, GetParam().amount);
}
INSTANTIATE_TEST_SUITE_P(
    All, AwsOperations,
    ::testing::Values(
        Row{"s3_buckets", {"s3", "GET", "/"}, "s3.ListBuckets", read, none},
        Row{"s3_list", {"s3", "GET", "/b?list-type=2&prefix=x"}, "s3.ListObjectsV2", read, none},
        Row{"s3_get", {"s3", "GET", "/b/a/c.txt"}, "s3.GetObject", read, none},
        Row{"s3_put", {"s3", "PUT", "/b/k", "text/plain", "hello"}, "s3.PutObject", write, none},
        Row{"s3_copy",
            {"s3", "PUT", "/b/k", "", "", {{"x-amz-copy-source", "other/key"}}},
            "s3.CopyObject",
            write,
            none},
        Row{"s3_policy", {"s3", "PUT", "/b?policy", "", "{}"}, "s3.PutBucketPolicy", write, none},
        Row{"s3_acl", {"s3", "PUT", "/b/k?acl"}, "s3.PutObjectAcl", write, none},
        Row{"s3_delete_many",
            {"s3", "POST", "/b?delete", "", "<x/>"},
            "s3.DeleteObjects",
            write,
            none},
        Row{"s3_part", {"s3", "PUT", "/b/k?partNumber=1&uploadId=u"}, "s3.UploadPart", write, none},
        Row{"s3_unknown_parameter", {"s3", "GET", "/b/k?something"}, "", read, unknown},
        Row{"s3_two_subresources", {"s3", "PUT", "/b/k?acl&tagging"}, "", write, unknown},
        Row{"dynamodb",
            {"dynamodb",
             "POST",
             "/",
             kJson,
             R"({"TableName":"t"})",
             {{"x-amz-target", "DynamoDB_20120810.PutItem"}}},
            "dynamodb.PutItem",
            write,
            none},
        Row{"dynamodb_read",
            {"dynamodb",
             "POST",
             "/",
             kJson,
             R"({"TableName":"t"})",
             {{"x-amz-target", "DynamoDB_20120810.Query"}}},
            "dynamodb.Query",
            read,
            none},
        Row{"ses",
            {"ses", "POST", "/", kForm,
             "Action=SendEmail&Source=a%40b.c&Destination.ToAddresses.member.1=d%40e.f"},
            "ses.SendEmail",
            message,
            known},
        Row{"ses_raw",
            {"ses", "POST", "/", kForm, "Action=SendRawEmail&RawMessage.Data=eA%3D%3D"},
            "ses.SendRawEmail",
            message,
            unknown},
        Row{"sns",
            {"sns", "POST", "/", kForm, "Action=Publish&TopicArn=arn%3At&Message=m"},
            "sns.Publish",
            message,
            known},
        Row{"sns_text",
            {"sns", "POST", "/", kForm, "Action=Publish&PhoneNumber=%2B1&Message=m"},
            "sns.Publish",
            message,
            unknown},
        Row{"sqs_receive",
            {"sqs", "POST", "/", kJson, "{}", {{"x-amz-target", "AmazonSQS.ReceiveMessage"}}},
            "sqs.ReceiveMessage",
            write,
            none},
        Row{"machines",
            {"ec2", "POST", "/", kForm, "Action=RunInstances"},
            "ec2.RunInstances",
            write,
            unknown},
        Row{"who_am_i",
            {"sts", "POST", "/", kForm, "Action=GetCallerIdentity"},
            "sts.GetCallerIdentity",
            read,
            none},
        Row{"no_action", {"sns", "POST", "/", kForm, "Message=m"}, "", write, unknown}),
    [](const auto& row) { return row.param.name; });

TEST(Aws, SaysWhatAndWhom) {
  const auto put = read_call({"s3", "PUT", "/bucket/a/b.txt", "", "x", {{"X-Amz-Acl", "private"}}});
  EXPECT_THAT(put->call.fields, Contains(Pair("bucket", "bucket")));
  EXPECT_THAT(put->call.fields, Contains(Pair("key", "a/b.txt")));
  EXPECT_THAT(put->call.fields, Contains(Pair("x-amz-acl", "private")));
  const auto item = read_call({"dynamodb",
                               "POST",
                               "/",
                               kJson,
                               R"({"TableName":"t"})",
                               {{"x-amz-target", "DynamoDB_20120810.PutItem"}}});
  EXPECT_THAT(item->call.fields, Contains(Pair("TableName", "t")));
  const auto mail = read_call({"ses", "POST", "/v2/email/outbound-emails", "application/json",
                               R"({"FromEmailAddress":"Us <us@example.com>","Destination":
           {"ToAddresses":["a@b.c"],"CcAddresses":["d@e.f"]}})"});
  ASSERT_TRUE(mail) << mail.error().message();
  EXPECT_EQ(mail->call.operation, "ses.SendEmail");
  EXPECT_THAT(mail->call.recipients, ElementsAre("a@b.c", "d@e.f"));
  EXPECT_THAT(mail->call.sender_domains, ElementsAre("example.com"));
  EXPECT_EQ(mail->call.usd, MicroUsd::from_raw_unchecked(200));
}

TEST(Aws, RefusesWhatCanBeReadInTwoWays) {
  EXPECT_FALSE(read_call({"sns", "POST", "/", kForm, "Action=Publish&Action=DeleteTopic"}));
  EXPECT_FALSE(read_call({"dynamodb",
                          "POST",
                          "/",
                          kJson,
                          R"({"TableName":"t","TableName":"u"})",
                          {{"x-amz-target", "DynamoDB_20120810.PutItem"}}}));
  EXPECT_FALSE(read_call({"dynamodb",
                          "POST",
                          "/",
                          kJson,
                          "{}",
                          {{"x-amz-target", "D.PutItem"}, {"x-amz-target", "D.DeleteTable"}}}));
  EXPECT_FALSE(
      read_call({"dynamodb", "POST", "/", kForm, "Action=x", {{"x-amz-target", "D.PutItem"}}}));
}

// Each service looks for its action in one place: a name anywhere else is the agent's wish.
TEST(Aws, NamesAnOperationWhereTheServiceLooksForIt) {
  const std::string topic = R"({"a":"&Action=CreateTopic&Name=evil&Version=2010-03-31&x="})";
  const auto with_target = [](std::string target) {
    return std::vector<std::pair<const char*, std::string>>{{"x-amz-target", std::move(target)}};
  };
  for (const Asked& asked : std::initializer_list<Asked>{
           {"sns", "POST", "/", "application/x-www-form-urlencoded; json", topic,
            with_target("X.ListTopics")},
           {"sns", "POST", "/", "application/x-www-form-urlencoded;x=json", topic,
            with_target("X.ListTopics")},
           {"sns", "POST", "/", "text/json", topic, with_target("X.ListTopics")},
           {"lambda", "POST", "/2015-03-31/functions/pay/invocations", "application/json", "{}",
            with_target("X.ListFunctions")},
           {"ses", "POST", "/v2/email/outbound-bulk-emails", "application/json", "{}",
            with_target("X.SendEmail")},
           {"ses", "DELETE", "/v2/email/identities/example.com", kJson, "",
            with_target("X.SendEmail")},
           {"ses", "DELETE", "/", kJson, "", with_target("X.ListThings")},
           {"dynamodb", "POST", "/?x=1", kJson, "{}", with_target("D.ListTables")},
           {"sns", "POST", "/?Action=CreateTopic&Name=x", kJson, "{}", with_target("X.ListTopics")},
           {"sns", "POST", "/?Action=CreateTopic", kForm, "Action=ListTopics"},
           {"sns", "GET", "/?Action=Publish&PhoneNumber=%2B1"},
           {"sns", "GET", "/?action=Publish"},
           {"sns", "POST", "/", "application/x-www-form-urlencoded; charset=utf-7",
            "Action=ListTopics"},
           {"dynamodb", "POST", "/", "application/json; charset=utf-16", "{}",
            with_target("D.ListTables")}}) {
    const auto got = read_call(asked);
    EXPECT_FALSE(got) << asked.target << " " << asked.type << " " << got->operation.name;
  }
  const auto beside = read_call({"sns", "POST", "/?x=1", kForm, "Action=ListTopics"});
  ASSERT_TRUE(beside);
  EXPECT_EQ(beside->operation.name, "");
}

TEST(Aws, ABodyThatIsNotReadHasNoFields) {
  EXPECT_TRUE(read_call({"lambda", "POST", "/2015-03-31/functions/f/invocations",
                         "application/octet-stream", "x"})
                  ->call.unread);
  EXPECT_FALSE(read_call({"sns", "POST", "/", kForm, "Action=ListTopics"})->call.unread);
  EXPECT_FALSE(read_call({"s3", "PUT", "/bucket/a", "", "x"})->call.unread);
}

TEST(Aws, NeverMakesKeys) {
  for (const auto& [service, action] :
       {std::pair("iam", "CreateAccessKey"), std::pair("sts", "AssumeRole"),
        std::pair("organizations", "CreateAccount")}) {
    const auto got = read_call({service, "POST", "/", kForm, std::string("Action=") + action});
    ASSERT_FALSE(got) << service;
    EXPECT_TRUE(got.error().is(Errc::unknown_operation)) << service;
  }
}

TEST(Aws, SignsWithTheRealKey) {
  const auto pack = make_aws_pack({});
  const Secret real(
      std::string_view("AKIAREALREALREALREAL:TheRealSecretOfTheAccount0123456789abcd"));
  ASSERT_TRUE(pack->check_credential(real));
  http::RequestHead head;
  head.method = "PUT";
  head.target = "/b/k";
  head.headers.add("Content-Type", "text/plain");
  head.headers.add("X-Amz-Acl", "private");
  Input in;
  in.body = "hello";
  in.scope = {"eu-west-1", "s3"};
  const ledger::VaultKey shown;
  const UnixMillis now = *from_rfc3339("2026-01-31T12:00:00Z");
  pack->sign({head, in, real, shown, ""}, "s3.eu-west-1.amazonaws.com", now);
  const auto authorization = head.headers.get("authorization");
  ASSERT_TRUE(authorization);
  EXPECT_THAT(std::string(*authorization),
              HasSubstr("Credential=AKIAREALREALREALREAL/20260131/eu-west-1/s3/aws4_request"));
  EXPECT_THAT(std::string(*authorization), Not(HasSubstr("TheRealSecret")));
  head.authority = "s3.eu-west-1.amazonaws.com";
  const auto claim = read_signature(head);
  ASSERT_TRUE(claim && *claim);
  EXPECT_TRUE(check_signature(**claim,
                              Secret(std::string_view("TheRealSecretOfTheAccount0123456789abcd")),
                              crypto::sha256(as_bytes(in.body)), now));
  for (const char* bad : {"ASIAREALREALREALREAL:TheRealSecretOfTheAccount0123456789abcd",
                          "AKIAREALREALREALREAL", "AKIAREAL:TheRealSecretOfTheAccount0123456789"})
    EXPECT_FALSE(pack->check_credential(Secret(std::string_view(bad)))) << bad;
}

TEST(Aws, KeysThatSignHaveTheirShape) {
  ledger::VaultKey key;
  key.id = "lAbc123xyz45";
  key.pair_id = "AC00112233445566778899aabbccddeeff";
  const std::string name = signer_name(key);
  EXPECT_EQ(name.size(), 20U);
  EXPECT_TRUE(name.starts_with("AKIA"));
  const Secret master(std::string_view("0123456789abcdef0123456789abcdef"));
  const Secret secret = signer_secret(master, key.id);
  EXPECT_EQ(secret.size(), 40U);
  EXPECT_NE(secret.reveal_text(), signer_secret(master, "lAbc123xyz46").reveal_text());
  ledger::VaultKeyList list;
  list.keys.push_back(key);
  const KeyBook book(std::move(list));
  ASSERT_NE(book.by_signer(name), nullptr);
  EXPECT_EQ(book.by_signer(name)->id, key.id);
  EXPECT_EQ(book.by_signer("AKIAAAAAAAAAAAAAAAAA"), nullptr);
}

TEST(Aws, RefusesSoThatEveryParserFindsTheCode) {
  Denial denial;
  denial.code = Errc::denied;
  denial.reason = "operation_denied";
  denial.message = "not <this> & that";
  const Refusal refusal = make_aws_pack({})->refusal(denial);
  EXPECT_EQ(refusal.head.status, 403);
  EXPECT_EQ(refusal.head.headers.get("x-amzn-errortype"), "AccessDenied");
  EXPECT_THAT(refusal.body, HasSubstr("operation_denied: not &lt;this&gt; &amp; that"));
}

}  // namespace
}  // namespace octroi::vault
