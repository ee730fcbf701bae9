// twilio-node.
'use strict';
const twilio = require('twilio');
const { serve } = require('./loop.cjs');

const make = (how) => {
  const client = twilio(how.sid, how.token, { autoRetry: how.retries > 0, maxRetries: how.retries });
  if (how.base) client.api.baseUrl = how.base;
  return client;
};

serve(make, {
  make: async (c, a) => (await c.messages.create({ to: a.to, from: '+15550001111', body: a.body })).sid,
}, (e) => e.status);
