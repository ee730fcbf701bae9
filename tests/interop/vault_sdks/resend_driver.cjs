// resend-node, which gives errors back and throws none.
'use strict';
const { Resend } = require('resend');
const { serve } = require('./loop.cjs');

class ResendError extends Error {}

const make = (how) => new Resend(how.key, how.base ? { baseUrl: how.base } : undefined);
const send = async (c, { again, ...mail }) => {
  const { data, error } = await c.emails.send(mail, again ? { idempotencyKey: again } : undefined);
  if (error) throw Object.assign(new ResendError(`${error.name}: ${error.message}`), { status: error.statusCode });
  return data.id;
};

serve(make, { make: send }, (e) => e.status);
