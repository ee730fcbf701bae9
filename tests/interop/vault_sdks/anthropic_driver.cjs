// @anthropic-ai/sdk.
'use strict';
const Anthropic = require('@anthropic-ai/sdk');
const { serve } = require('./loop.cjs');

const make = (how) => new Anthropic({ apiKey: how.key, baseURL: how.base, maxRetries: how.retries });
const words = (a) => ({
  model: 'claude-sonnet-4-6', max_tokens: a.tokens, messages: [{ role: 'user', content: 'count' }] });

serve(make, {
  make: async (c, a) => (await c.messages.create(words(a))).id,
  stream: async (c, a) => (await c.messages.stream(words(a)).finalMessage()).content[0].text,
}, (e) => e.status);
