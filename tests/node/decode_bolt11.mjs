// Decodes an invoice with two libraries: node decode_bolt11.mjs INVOICE
import bolt11 from 'bolt11';
import { decode as light } from 'light-bolt11-decoder';
import { report } from './lnd.mjs';

const [invoice] = process.argv.slice(2);
const regtest = { bech32: 'bcrt', pubKeyHash: 0x6f, scriptHash: 0xc4, validWitnessVersions: [0, 1] };
const full = bolt11.decode(invoice, invoice.startsWith('lnbcrt') ? regtest : undefined);
const tags = Object.fromEntries(full.tags.map((tag) => [tag.tagName, tag.data]));
const sections = Object.fromEntries(light(invoice).sections.map((one) => [one.name, one.value]));
report({
  bolt11: {
    amount_msat: full.millisatoshis,
    payment_hash: tags.payment_hash,
    payee: full.payeeNodeKey,
    timestamp: full.timestamp,
    expiry: tags.expire_time ?? 3600,
    description: tags.description ?? null,
  },
  light: {
    amount_msat: sections.amount,
    payment_hash: sections.payment_hash,
    timestamp: sections.timestamp,
    expiry: sections.expiry ?? 3600,
    description: sections.description ?? null,
  },
});
