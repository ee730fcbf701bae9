// Pays a URL with mppx and a Lightning charge method: node pay_mppx.mjs URL [METHOD [BODY]]
import { Credential, Method, z } from 'mppx';
import { Mppx } from 'mppx/client';
import { describe, payInvoice, report } from './lnd.mjs';

const [url, method = 'GET', body] = process.argv.slice(2);
const paid = [];

const charge = Method.from({
  name: 'lightning',
  intent: 'charge',
  schema: {
    credential: { payload: z.object({ preimage: z.string() }) },
    request: z.looseObject({
      amount: z.string(),
      currency: z.string(),
      methodDetails: z.looseObject({ invoice: z.string() }),
    }),
  },
});

const lightning = Method.toClient(charge, {
  async createCredential({ challenge }) {
    const { invoice } = challenge.request.methodDetails;
    const { preimage } = await payInvoice(invoice);
    paid.push({ invoice, preimage, description: challenge.description ?? null });
    return Credential.serialize({ challenge, payload: { preimage } });
  },
});

try {
  const client = Mppx.create({ methods: [lightning], polyfill: false });
  report({ paid, first: await describe(await client.fetch(url, { method, body })) });
} catch (error) {
  report({ paid, error: String(error?.message ?? error) });
}
