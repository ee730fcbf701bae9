// stripe-node.
'use strict';
const Stripe = require('stripe');
const { serve } = require('./loop.cjs');

const make = (how) => {
  const where = how.base ? new URL(how.base) : null;
  const more = where ? { host: where.hostname, port: where.port, protocol: where.protocol.slice(0, -1) } : {};
  return new Stripe(how.key ?? process.env.STRIPE_SECRET_KEY, { maxNetworkRetries: how.retries, ...more });
};

serve(make, {
  make: async (c, fields) => (await c.charges.create(fields)).id,
  read: async (c) => (await c.customers.list()).object,
}, (e) => e.statusCode);
