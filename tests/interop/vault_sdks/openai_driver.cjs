// openai-node.
'use strict';
const OpenAI = require('openai');
const { serve } = require('./loop.cjs');

const make = (how) => new OpenAI({ apiKey: how.key, baseURL: how.base, maxRetries: how.retries });
const ask = (c, a, more) => c.chat.completions.create({
  model: 'gpt-4o', max_tokens: a.tokens, messages: [{ role: 'user', content: 'count' }], ...more });
const stream = async (c, a) => {
  let said = '';
  for await (const part of await ask(c, a, { stream: true })) said += part.choices[0]?.delta?.content ?? '';
  return said;
};

serve(make, { make: async (c, a) => (await ask(c, a)).id, stream }, (e) => e.status);
