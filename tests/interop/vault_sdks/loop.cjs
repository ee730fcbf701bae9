// What the drivers for Node share: see loop.py.
'use strict';
const dns = require('node:dns');
const readline = require('node:readline');

// Names that lead to this machine, as those of a private zone would; nothing of an SDK is replaced.
const here = new Set((process.env.VAULT_SDK_NAMES ?? '').split(','));
const lookup = dns.lookup;
dns.lookup = (host, ...more) => lookup(here.has(host) ? '127.0.0.1' : host, ...more);

exports.serve = async (make, operations, status) => {
  let client;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { do: act, ...asked } = JSON.parse(line);
    let told;
    try {
      if (act === 'open') client = make(asked);
      told = { value: act === 'open' ? null : await operations[act](client, asked) };
    } catch (e) {
      told = { error: { class: e.constructor.name, status: status(e) ?? null, message: e.message } };
    }
    process.stdout.write(JSON.stringify(told) + '\n');
  }
  // A pool of connections would keep the program.
  process.exit(0);
};
