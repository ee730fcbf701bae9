// Node's own fetch: node fetch.mjs BASE AUTHORIZATION
const [base, authorization] = process.argv.slice(2);
const headers = authorization ? { authorization } : {};
const ask = (path, options = {}) => fetch(base + path, { headers, ...options });

const result = {};
result.get = (await ask('/x')).status;
result.post = (await (await ask('/post', { method: 'POST', body: 'a text' })).json()).method;
const pieces = new ReadableStream({
  start(controller) {
    for (let i = 0; i < 100; ++i) controller.enqueue(new TextEncoder().encode('piece '));
    controller.close();
  },
});
result.streamed = (await ask('/stream', { method: 'POST', body: pieces, duplex: 'half' })).status;
result.large = (await (await ask('/x?size=5000000')).arrayBuffer()).byteLength;
const controller = new AbortController();
setTimeout(() => controller.abort(), 200);
result.aborted = await ask('/slow?delay=2', { signal: controller.signal }).then(() => 'answered', (error) => error.name);
const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => ask(`/many/${i}`)));
result.many = answers.filter((one) => one.status === 200).length;
await Promise.all(answers.map((one) => one.arrayBuffer()));
result.after = (await ask('/x')).status;
process.stdout.write(JSON.stringify(result) + '\n');
