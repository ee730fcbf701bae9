// Pays a URL with @getalby/lightning-tools: node pay_alby.mjs URL [METHOD [BODY]]
import { fetch402 } from '@getalby/lightning-tools/402';
import { describe, payInvoice, report } from './lnd.mjs';

const [url, method = 'GET', body] = process.argv.slice(2);
const paid = [];
const wallet = {
  payInvoice: async ({ invoice }) => {
    const settled = await payInvoice(invoice);
    paid.push({ invoice, preimage: settled.preimage });
    return { preimage: settled.preimage, fees_paid: settled.feesMsat };
  },
};
try {
  const first = await fetch402(url, { method, body }, { wallet, maxAmount: 100000 });
  const result = { paid, first: await describe(first) };
  const credentials = first.payment?.credentials;
  if (credentials) {
    // The library's own way to use again what was bought: no further payment may happen.
    const again = await fetch402(url, { method, body }, { wallet, credentials });
    result.again = await describe(again);
  }
  report(result);
} catch (error) {
  report({ paid, error: String(error?.message ?? error) });
}
