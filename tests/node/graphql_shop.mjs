// A GraphQL server on graphql-js with a shop's schema, which tells what its resolvers were given:
// tests/vault/test_graphql.py compares that with what octroi judged.
import { createServer } from "node:http";
import { buildSchema, graphql } from "graphql";

const schema = buildSchema(`
  input Transaction { amount: String! kind: String gateway: String }
  input RefundInput { orderId: ID currency: String transactions: [Transaction!] note: String }
  type Refund { id: ID note: String }
  type RefundPayload { refund: Refund userErrors: [String!] }
  type Shop { name: String orders(first: Int, query: String): [Refund] }
  type Query { shop: Shop orders(first: Int): [Refund] }
  type Mutation { refundCreate(input: RefundInput!): RefundPayload orderCancel(orderId: ID): RefundPayload }
`);

async function run({ query, variables, operationName }) {
  const ran = [];
  const told = (name) => (args) => {
    ran.push({ name, args });
    return { refund: { id: String(ran.length) }, userErrors: [] };
  };
  const rootValue = {
    refundCreate: told("refundCreate"),
    orderCancel: told("orderCancel"),
    shop: () => (ran.push({ name: "shop" }), { name: "x", orders: [] }),
    orders: () => (ran.push({ name: "orders" }), []),
  };
  const answer = await graphql({ schema, source: query, rootValue, variableValues: variables, operationName });
  return { ...answer, extensions: { ran } };
}

createServer(async (request, response) => {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) text += piece;
  let body;
  try {
    body = await run(JSON.parse(text));
  } catch (why) {
    body = { errors: [{ message: String(why) }], extensions: { ran: [] } };
  }
  response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}).listen(Number(process.env.PORT), "127.0.0.1");
