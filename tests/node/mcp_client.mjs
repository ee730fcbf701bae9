// A client of the Model Context Protocol: URL, key, and a JSON list of [tool, arguments]. Prints what
// the SDK gave: the names of the tools, and each call's result or error.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, key, calls] = process.argv.slice(2);
const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { Authorization: `Bearer ${key}` } },
});
const client = new Client({ name: "octroi-test", version: "1" });
const told = (error) => ({ code: error.code, message: error.message, data: error.data });
const out = {};
try {
  await client.connect(transport);
  out.tools = (await client.listTools()).tools.map((tool) => tool.name);
  out.calls = [];
  for (const [name, args] of JSON.parse(calls)) {
    out.calls.push(await client.callTool({ name, arguments: args }).catch(told));
  }
} catch (error) {
  out.failed = told(error);
}
await client.close().catch(() => {});
console.log(JSON.stringify(out));
