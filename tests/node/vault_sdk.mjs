// A vendor's own Node SDK behind the vault: node vault_sdk.mjs SDK '{"base","key",…}'. Prints what one
// call gave, or the error as the SDK tells it.
const [sdk, text] = process.argv.slice(2);
const o = JSON.parse(text);

const calls = {
  async openai() {
    const { default: OpenAI } = await import('openai');
    const client = new OpenAI({ apiKey: o.key, baseURL: o.base + o.path, maxRetries: o.retries ?? 0 });
    const ask = { model: 'gpt-4o', messages: [{ role: 'user', content: 'count' }], max_tokens: o.amount };
    if (!o.stream) return (await client.chat.completions.create(ask)).choices[0].message.content;
    let said = '';
    for await (const chunk of await client.chat.completions.create({ ...ask, stream: true }))
      said += chunk.choices[0]?.delta?.content ?? '';
    return said;
  },
  async anthropic() {
    const { default: Anthropic } = await import('@anthropic-ai/sdk');
    const client = new Anthropic({ apiKey: o.key, baseURL: o.base + o.path, maxRetries: o.retries ?? 0 });
    const ask = { model: 'claude-sonnet-4-6', messages: [{ role: 'user', content: 'count' }], max_tokens: o.amount };
    if (!o.stream) return (await client.messages.create(ask)).content[0].text;
    return (await client.messages.stream(ask).finalMessage()).content[0].text;
  },
  async stripe() {
    const { default: Stripe } = await import('stripe');
    const { hostname, port } = new URL(o.base);
    const client = new Stripe(o.key, { host: hostname, port, protocol: 'http', maxNetworkRetries: o.retries ?? 0 });
    return (await client.charges.create({ amount: o.amount, currency: 'usd', customer: 'cus_1' })).id;
  },
  async twilio() {
    const { default: twilio } = await import('twilio');
    const client = twilio(o.sid, o.token, { autoRetry: (o.retries ?? 0) > 0, maxRetries: o.retries ?? 0 });
    client.api.baseUrl = o.base + o.path;
    return (await client.messages.create({ to: o.to, from: '+15550001111', body: 'hello' })).sid;
  },
  async resend() {
    const { Resend } = await import('resend');
    const client = new Resend(o.key, { baseUrl: o.base + o.path });
    const { data, error } = await client.emails.send({ from: 'Us <us@example.com>', to: o.to, subject: 's', html: 'h' });
    if (error) throw Object.assign(new Error(error.message), { status: error.statusCode, code: error.name });
    return data.id;
  },
};

let result;
try {
  result = { value: await calls[sdk]() };
} catch (e) {
  const inner = e.error?.error ?? e.error ?? e.raw ?? {};
  result = { status: e.status ?? e.statusCode, code: e.code ?? inner.code, message: e.message };
}
// A timer of a retried request would keep the program for more than a minute.
process.stdout.write(JSON.stringify(result) + '\n', () => process.exit(0));
