#include "octroi/vault/packs/generic/graphql.h"

#include <string>
#include <string_view>

#include <gmock/gmock.h>

#include "octroi/json/writer.h"
#include "octroi/vault/errors.h"
#include "octroi/vault/packs/generic/graphql_lexer.h"

namespace octroi::vault::generic {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string body_of(std::string_view query, std::string_view variables = "") {
  json::Writer w;
  w.begin_object().field("query", query);
  if (!variables.empty()) w.key("variables").raw(variables);
  w.end_object();
  return std::move(w).take();
}

Result<GraphqlCall> read(std::string_view body) {
  OCTROI_TRY(const json::Document document, json::parse(body));
  return read_graphql(document.root());
}

// What a mutation is read as.

struct MutationRow {
  const char* name;
  const char* query;
  const char* variables;
  const char* field;
  const char* arguments;
};
class Mutations : public ::testing::TestWithParam<MutationRow> {};

TEST_P(Mutations, AreReadAsServersReadThem) {
  const auto call = read(body_of(GetParam().query, GetParam().variables));
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_EQ(call->kind, GraphqlCall::Kind::mutation);
  EXPECT_THAT(call->fields, ElementsAre(GetParam().field));
  EXPECT_EQ(call->arguments.root().to_json(), GetParam().arguments);
}

constexpr MutationRow kMutations[] = {
    {"ShopifyRefund",
     "mutation refundCreate($input: RefundInput!) { refundCreate(input: $input) { refund { id } "
     "userErrors { field message } } }",
     R"({"input":{"orderId":"gid://shopify/Order/1","transactions":[{"amount":"12.30"}]}})",
     "refundCreate",
     R"({"input":{"orderId":"gid://shopify/Order/1","transactions":[{"amount":"12.30"}]}})"},
    {"ShopifyDraftOrder",
     R"(mutation { draftOrderComplete(id: "gid://shopify/DraftOrder/1") { draftOrder { id } } })",
     "", "draftOrderComplete", R"({"id":"gid://shopify/DraftOrder/1"})"},
    {"ShopifyOrder",
     R"(mutation OrderCreate($price: Decimal!, $note: String) {
          orderCreate(order: {
            lineItems: [{title: "Shoes", quantity: 2,
                         priceSet: {shopMoney: {amount: $price, currencyCode: EUR}}}]
            note: $note
            test: true
          }) { userErrors { field } }
        })",
     R"({"price":"12.30"})", "orderCreate",
     R"({"order":{"lineItems":[{"title":"Shoes","quantity":2,"priceSet":{"shopMoney":)"
     R"({"amount":"12.30","currencyCode":"EUR"}}}],"test":true}})"},
    {"NoArguments", "mutation { ping }", "", "ping", "{}"},
    {"NoVariables", "mutation { f(a: 1) }", "null", "f", R"({"a":1})"},
    {"KeywordsAreNames", "mutation mutation { query(on: on, null: null, type: fragment) { true } }",
     "", "query", R"({"on":"on","null":null,"type":"fragment"})"},
    {"FragmentsAround",
     "fragment A on T { x(a: $v) @include(if: $v) ...B } mutation ($v: Boolean) { f { ...A ... on "
     "T "
     "{ y } ... @skip(if: false) { z } ... { q } } } fragment B on T { al: w }",
     "", "f", "{}"},
    {"DirectivesBelow", "mutation ($v: I @x(a: 1)) @y { f(a: $v) { g @z(a: [$v]) @z } }",
     R"({"v":1})", "f", R"({"a":1})"},
    {"Ignored", "\xef\xbb\xbf#, \"\"\"\n,,mutation\r\n{\tf # } {\r\n(a:1,,b:2)}", "", "f",
     R"({"a":1,"b":2})"},
    {"NoCommasNeeded", R"(mutation{f(a:["x""y"-2 E]b:{c:"1"d:2})})", "", "f",
     R"({"a":["x","y",-2,"E"],"b":{"c":"1","d":2}})"},
    {"Numbers", "mutation { f(a: [0, -1, 1.50, -0.0, 2.5e-3, 1.0E+2, 12345678901234567890]) }", "",
     "f", R"({"a":[0,-1,1.50,-0.0,2.5e-3,1.0E+2,12345678901234567890]})"},
    {"Words", "mutation { f(a: [true, false, null, EUR, True, nulls]) }", "", "f",
     R"({"a":[true,false,null,"EUR","True","nulls"]})"},
    {"Empty", R"(mutation { f(a: {}, b: [], c: "", d: """""") })", "", "f",
     R"({"a":{},"b":[],"c":"","d":""})"},
    {"Escapes", R"(mutation { f(a: "\" \\ \/ \b\f\n\r\t \u00e9 \u20aC \u0000 é \\n C:\\users") })",
     "", "f", R"({"a":"\" \\ / \b\f\n\r\t é € \u0000 é \\n C:\\users"})"},
    {"SurrogatePair", R"(mutation { f(a: "\uD83D\uDE00", b: "😀") })", "", "f",
     R"({"a":"😀","b":"😀"})"},
    {"TextThatLooksLikeMore", R"(mutation { f(a: "$v } # {", b: """ } $v "x" ) """) })", "", "f",
     R"({"a":"$v } # {","b":" } $v \"x\" ) "})"},

    // 6.1.2 and 6.4.1: variables
    {"Given", "mutation ($v: I = 5) { f(a: $v) }", R"({"v":6})", "f", R"({"a":6})"},
    {"Default", "mutation ($v: I = 5) { f(a: $v) }", "{}", "f", R"({"a":5})"},
    {"NullBeatsDefault", "mutation ($v: I = 5) { f(a: $v) }", R"({"v":null})", "f",
     R"({"a":null})"},
    {"NullDefault", "mutation ($v: I = null) { f(a: $v) }", "", "f", R"({"a":null})"},
    {"NoValueNoArgument", "mutation ($v: I) { f(a: $v, b: 1) }", "", "f", R"({"b":1})"},
    {"NoValueNoField", "mutation ($v: I) { f(a: {b: $v, c: 1, d: $v}) }", "", "f",
     R"({"a":{"c":1}})"},
    {"NoValueNullElement", "mutation ($v: I) { f(a: [1, $v, [$v], {b: $v}]) }", "", "f",
     R"({"a":[1,null,[null],{}]})"},
    {"CompoundDefault", R"(mutation ($v: [In!]! = [{a: E, b: ["x"]}]) { f(a: $v) })", "", "f",
     R"({"a":[{"a":"E","b":["x"]}]})"},
    {"UnknownOneIsIgnored", "mutation ($v: I) { f(a: $v) }", R"({"v":1,"w":2})", "f", R"({"a":1})"},
    {"OtherSpellingIsAnother", "mutation ($v: I) { f(a: $v) }", R"({"V":1})", "f", "{}"},
    {"NumbersAsWritten", "mutation ($v: I) { f(a: $v) }", R"({"v":[1.50,1e3]})", "f",
     R"({"a":[1.50,1e3]})"},
    {"UsedOften", "mutation ($v: I) { f(a: $v, b: [$v]) { g(c: $v) } }", R"({"v":{"x":1}})", "f",
     R"({"a":{"x":1},"b":[{"x":1}]})"},

    // 2.9.4: block strings
    {"BlockOfTheSpecification",
     "mutation { sendEmail(message: \"\"\"\n    Hello,\n      World!\n\n    Yours,\n      "
     "GraphQL.\n  \"\"\") }",
     "", "sendEmail", R"({"message":"Hello,\n  World!\n\nYours,\n  GraphQL."})"},
    {"BlockOfOneLine", "mutation { f(a: \"\"\"  abc \t\"\"\") }", "", "f", R"({"a":"  abc \t"})"},
    {"BlockFirstLineCountsNot", "mutation { f(a: \"\"\" a\n    b\n   c\"\"\") }", "", "f",
     R"({"a":" a\n b\nc"})"},
    {"BlockBlankLinesWithin", "mutation { f(a: \"\"\"\n  a\n \n     \n  b\n\n\"\"\") }", "", "f",
     R"({"a":"a\n\n   \nb"})"},
    {"BlockOfEmptyLines", "mutation { f(a: \"\"\"\n\n\n\"\"\") }", "", "f", R"({"a":""})"},
    {"BlockQuotes", "mutation { f(a: \"\"\"\"a \"\" b\"\"\") }", "", "f", R"({"a":"\"a \"\" b"})"},
};

INSTANTIATE_TEST_SUITE_P(All, Mutations, ::testing::ValuesIn(kMutations),
                         [](const auto& row) { return std::string(row.param.name); });

// What is refused, and why.

struct RefusedRow {
  const char* name;
  const char* query;
  const char* reason;
};
class RefusedDocuments : public ::testing::TestWithParam<RefusedRow> {};

TEST_P(RefusedDocuments, SayWhy) {
  const auto call = read(body_of(GetParam().query, R"({"v":"4111-secret"})"));
  ASSERT_FALSE(call) << call->arguments.root().to_json();
  EXPECT_TRUE(call.error().is(Errc::ambiguous));
  EXPECT_THAT(std::string(call.error().message()), HasSubstr(GetParam().reason));
  EXPECT_THAT(std::string(call.error().message()), Not(HasSubstr("secret")));
}

constexpr RefusedRow kRefused[] = {
    // operations
    {"Nothing", "", "no operation"},
    {"OnlyAComment", "# {a}", "no operation"},
    {"OnlyAFragment", "fragment A on T { x }", "no operation"},
    {"TwoOperations", "query A { x } mutation B { f }", "second operation"},
    {"TwoShorthands", "{ x } { y }", "second operation"},
    {"Subscription", "subscription { x }", "subscription"},
    {"TypeSystem", "{ x } type A { b: C }", "only a query or a mutation"},
    {"Extension", "extend type A { b: C }", "only a query or a mutation"},
    {"Description", "\"text\" mutation { f }", "only a query or a mutation"},
    {"CloseTooMany", "mutation { f } }", "only a query or a mutation"},
    // roots
    {"TwoFields", "mutation { f g }", "one field"},
    {"TheSameFieldTwice", "mutation { f f }", "one field"},
    {"Alias", "mutation { a: f }", "alias"},
    {"Directive", "mutation { f @skip(if: true) }", "directive"},
    {"SpreadAtTheRoot", "mutation { ...A } fragment A on M { f }", "fragment at the root"},
    {"InlineAtTheRoot", "mutation { ... on M { f } }", "fragment at the root"},
    {"SpreadAtAQuerysRoot", "{ x ...A } fragment A on Q { y }", "fragment at the root"},
    {"NoField", "mutation { }", "the name of a field"},
    {"NoQueryField", "{ }", "the name of a field"},
    // grammar
    {"NotClosed", "mutation { f", "the name of a field"},
    {"ArgumentsNotClosed", "mutation { f(a: 1", "the name of an argument"},
    {"ListNotClosed", "mutation { f(a: [1", "a value"},
    {"EmptyArguments", "mutation { f() }", "an argument"},
    {"EmptySelection", "mutation { f { } }", "the name of a field"},
    {"EmptyDefinitions", "mutation () { f }", "expected $"},
    {"NoColon", "mutation { f(a 1) }", "expected :"},
    {"NoValue", "mutation { f(a: ) }", "a value"},
    {"NoType", "mutation ($v) { f }", "expected :"},
    {"ListTypeNotClosed", "mutation ($v: [I) { f }", "expected ]"},
    {"TwoExclamations", "mutation ($v: I!!) { f }", "expected $"},
    {"FragmentOn", "mutation { f } fragment on on T { x }", "needs a name"},
    {"FragmentWithoutType", "mutation { f } fragment A { x }", "\"on\" and a type"},
    {"FragmentWithVariables", "mutation { f } fragment A($a: I) on T { x }", "\"on\" and a type"},
    {"FragmentWithoutSelections", "mutation { f } fragment A on T", "expected {"},
    {"NamedShorthand", "A { x }", "only a query or a mutation"},
    {"KeywordInCapitals", "MUTATION { f }", "only a query or a mutation"},
    {"StringAsName", "mutation { \"f\" }", "the name of a field"},
    // names twice
    {"ArgumentTwice", "mutation { f(a: 1, b: 2, a: 3) }", "a stands there twice"},
    {"FieldTwice", "mutation { f(a: {b: 1, b: 1}) }", "b stands there twice"},
    {"FieldTwiceBelow", "mutation { f { g(a: {b: 1, b: 1}) } }", "b stands there twice"},
    {"FieldTwiceInADefault", "mutation ($v: I = {b: 1, b: 1}) { f }", "b stands there twice"},
    {"VariableTwice", "mutation ($v: I, $v: J) { f }", "$v is defined twice"},
    // variables
    {"NotDefined", "mutation { f(a: $v) }", "define the variable $v"},
    {"NotDefinedBelow", "mutation { f { g(a: [$v]) } }", "define the variable $v"},
    {"NotDefinedInAFragment", "fragment A on T { g @x(a: $v) } { f }", "define the variable $v"},
    {"OtherSpelling", "mutation ($V: I) { f(a: $v) }", "define the variable $v"},
    {"VariableInADefault", "mutation ($v: I, $w: I = [$v]) { f }", "only a constant"},
    {"VariableInADefinition", "mutation ($v: I, $w: I @x(a: $v)) { f }", "only a constant"},
    {"NullForRequired", "mutation ($w: I! = null) { f(a: $w) }", "default of null"},
    // numbers
    {"LeadingZero", "mutation { f(a: 007) }", "a number"},
    {"NoDigits", "mutation { f(a: -) }", "a number"},
    {"DotAtTheEnd", "mutation { f(a: 1.) }", "a number"},
    {"DotAtTheBeginning", "mutation { f(a: .5) }", "a character"},
    {"TwoDots", "mutation { f(a: 1.2.3) }", "a number"},
    {"SpreadBehind", "mutation { f(a: 1...) }", "a number"},
    {"NameBehind", "mutation { f(a: [1a]) }", "a number"},
    {"Hexadecimal", "mutation { f(a: 0x1F) }", "a number"},
    {"NoExponent", "mutation { f(a: 1.0e) }", "a number"},
    {"ExponentOfAWholeNumber", "mutation { f(a: [1e3]) }", "a number"},
    {"MinusBehind", "mutation { f(a: [1.5-3]) }", "a number"},
    {"Plus", "mutation { f(a: +1) }", "a character"},
    {"BeyondADouble", "mutation { f(a: 1.0e999) }", "number that is too large"},
    // strings
    {"StringNotClosed", "mutation { f(a: \"secret) }", "does not end on its line"},
    {"StringOverTheLine", "mutation { f(a: \"secret\n\") }", "does not end on its line"},
    {"StringEndsInABackslash", "mutation { f(a: \"secret\\", "an escape that is none"},
    {"UnknownEscape", R"(mutation { f(a: "secret\x") })", "an escape that is none"},
    {"ShortUnicode", R"(mutation { f(a: "\u12") })", "four digits"},
    {"BracedUnicode", R"(mutation { f(a: "\u{41}") })", "four digits"},
    {"LeadingSurrogateAlone", R"(mutation { f(a: "\uD83Dx") })", "surrogate"},
    {"TrailingSurrogateAlone", R"(mutation { f(a: "\uDE00") })", "surrogate"},
    {"SurrogatesSwapped", R"(mutation { f(a: "\uDE00\uD83D") })", "surrogate"},
    {"LeadingSurrogateTwice", R"(mutation { f(a: "\uD83D\uD83D\uDE00") })", "surrogate"},
    {"EscapeUndoneTwice", R"(mutation { f(a: "\\u0041") })", "a backslash before"},
    {"SingleQuotes", "mutation { f(a: 'secret') }", "a character"},
    {"BlockNotClosed", "mutation { f(a: \"\"\"secret\"\") }", "does not end"},
    {"BlockEscape", R"(mutation { f(a: """a \""" b""") })", "a backslash"},
    {"BlockCarriageReturn", "mutation { f(a: \"\"\"a\r\n b\"\"\") }", "carriage return"},
    {"BlockFourthQuote", R"(mutation { f(a: """a"""") })", "a quote behind"},
    {"BlockTabbed", "mutation { f(a: \"\"\"\n\ta\n\tb\"\"\") }", "blanks differently"},
    {"BlockOfSpaces", "mutation { f(a: \"\"\"  \"\"\") }", "blanks differently"},
    {"BlockSpacesFirst", "mutation { f(a: \"\"\"  \n  a\"\"\") }", "blanks differently"},
    {"BlockSpacesLast", "mutation { f(a: \"\"\"\n  a\n    \"\"\") }", "blanks differently"},
    // characters
    {"CarriageReturnEndsAComment", "mutation { f #\r(a: 1) #\n }", "carriage return"},
    {"LineSeparator", "mutation { f #\u2028(a: 1)\n }", "separator of lines"},
    {"NextLine", "mutation { f(a: \"\u0085\") }", "separator of lines"},
    {"Control", "mutation { f(a: \"\x01\") }", "control character"},
    {"Delete", "mutation { f \x7f }", "control character"},
    {"FormFeed", "mutation {\f f }", "control character"},
    {"NoBreakSpace", "mutation {\u00a0f }", "a character"},
    {"MarkWithin", "mutation { \ufeff f }", "a character"},
    {"LetterBeyondAscii", "mutation { caf\u00e9 }", "a character"},
    {"Ampersand", "mutation { f & }", "a character"},
    {"TwoPoints", "mutation { f { ..A } }", "a character"},
    {"SaysTheLine", "mutation {\r\n  f\n  g\n}", "query, line 3: "},
};

INSTANTIATE_TEST_SUITE_P(All, RefusedDocuments, ::testing::ValuesIn(kRefused),
                         [](const auto& row) { return std::string(row.param.name); });

// Queries.

TEST(Graphql, QueriesHaveFieldsAndNoArguments) {
  for (const auto& [query, fields] :
       {std::pair{"{ orders(first: 3) { id } }", "orders"},
        {"query { orders }", "orders"},
        {"query Q($n: Int = 3) @x { a: orders(first: $n) b: shop @skip(if: true) { name } }",
         "orders shop"},
        {"{ query: mutation }", "mutation"},
        {"{ x x }", "x x"}}) {
    const auto call = read(body_of(query));
    ASSERT_TRUE(call) << query << ": " << call.error().message();
    EXPECT_EQ(call->kind, GraphqlCall::Kind::query);
    std::string got;
    for (const std::string& field : call->fields) got += (got.empty() ? "" : " ") + field;
    EXPECT_EQ(got, fields);
    EXPECT_EQ(call->arguments.root().to_json(), "{}");
  }
}

// The body around the document.

TEST(Graphql, TakesTheMembersOfARequest) {
  for (const char* body : {
           R"({"query":"{x}"})",
           R"({"query":"{x}","variables":null,"operationName":null,"extensions":null})",
           R"({"query":"{x}","variables":{},"extensions":{}})",
           R"({"operationName":"Q","query":"query Q {x}"})",
           R"({"query":"query Q {x}","operationName":null})",
       }) {
    const auto call = read(body);
    EXPECT_TRUE(call) << body << ": " << call.error().message();
  }
}

TEST(Graphql, RefusesOtherBodies) {
  for (const auto& [body, reason] : {
           std::pair{"7", "a JSON object with query"},
           {R"([{"query":"{x}"}])", "batch"},
           {"{}", "query must be"},
           {R"({"query":null})", "query must be"},
           {R"({"query":["{x}"]})", "query must be"},
           {R"({"query":"{x}","id":"x1"})", "send no other"},
           {R"({"query":"{x}","documentId":"x1"})", "send no other"},
           {R"({"Query":"{x}"})", "send no other"},
           {R"({"query":"{x}","Query":"{y}"})", "two spellings"},
           {R"({"query":"{x}","variables":{"v":{"a":1,"A":2}}})", "two spellings"},
           {R"({"query":"{x}","variables":"{}"})", "variables must be"},
           {R"({"query":"{x}","variables":[]})", "variables must be"},
           {R"({"query":"{x}","operationName":1})", "operationName must be"},
           {R"({"query":"{x}","operationName":"Q"})", "operationName must be"},
           {R"({"query":"{x}","operationName":""})", "operationName must be"},
           {R"({"query":"query Q {x}","operationName":"q"})", "operationName must be"},
           {R"({"query":"{x}","extensions":{"persistedQuery":{"version":1}}})", "extensions"},
           {R"({"query":"{x}","extensions":[]})", "extensions"},
       }) {
    const auto call = read(body);
    ASSERT_FALSE(call) << body;
    EXPECT_TRUE(call.error().is(Errc::ambiguous)) << body;
    EXPECT_THAT(std::string(call.error().message()), HasSubstr(reason));
  }
}

// Limits.

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST(Graphql, HasADepth) {
  const auto fields = [](std::size_t deep) { return repeated("{a", deep) + repeated("}", deep); };
  EXPECT_TRUE(read(body_of(fields(32))));
  EXPECT_FALSE(read(body_of(fields(33))));
  EXPECT_FALSE(read(body_of(fields(9'000))));
  const auto list = [](std::size_t deep) {
    return "mutation { f(a: " + repeated("[", deep) + repeated("]", deep) + ") }";
  };
  EXPECT_TRUE(read(body_of(list(31))));
  EXPECT_FALSE(read(body_of(list(32))));
  EXPECT_FALSE(read(body_of("mutation ($v: " + repeated("[", 9'000) + ") { f }")));
}

TEST(Graphql, CountsTheDepthOfVariables) {
  const auto call = [](std::size_t around, std::size_t inside) {
    return read(body_of(
        "mutation ($v: I) { f(a: " + repeated("[", around) + "$v" + repeated("]", around) + ") }",
        R"({"v":)" + repeated("[", inside) + repeated("]", inside) + "}"));
  };
  EXPECT_TRUE(call(11, 20));
  const auto deep = call(20, 20);
  ASSERT_FALSE(deep);
  EXPECT_TRUE(deep.error().is(Errc::ambiguous));
}

TEST(Graphql, HasALength) {
  EXPECT_TRUE(read(body_of("{" + repeated("a,", kMostGraphqlTokens - 2) + "}")));
  const auto longer = read(body_of("{" + repeated("a,", kMostGraphqlTokens - 1) + "}"));
  ASSERT_FALSE(longer);
  EXPECT_THAT(std::string(longer.error().message()), HasSubstr("too long"));
}

TEST(Graphql, OneVariableInManyPlacesHasALimit) {
  const std::string variables = R"({"v":")" + repeated("x", 10'000) + R"("})";
  const auto used = [&](std::size_t times) {
    return read(body_of("mutation ($v: S) { f(a: [" + repeated("$v,", times) + "]) { g(a: [" +
                            repeated("$v,", 9'000) + "]) } }",
                        variables));
  };
  EXPECT_TRUE(used(100));
  const auto many = used(110);
  ASSERT_FALSE(many);
  EXPECT_TRUE(many.error().is(Errc::ambiguous));
}

}  // namespace
}  // namespace octroi::vault::generic
