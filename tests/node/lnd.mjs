// A wallet that pays through an lnd node's REST interface. Its address, certificate and macaroon come
// from the environment, so that nothing of it stands in a process list.
import https from 'node:https';
import { readFileSync } from 'node:fs';

export function payInvoice(invoice) {
  const ca = readFileSync(process.env.LND_TLS_CERT);
  const macaroon = readFileSync(process.env.LND_MACAROON).toString('hex');
  const body = JSON.stringify({
    payment_request: invoice,
    timeout_seconds: 30,
    fee_limit_msat: '10000',
    no_inflight_updates: true,
  });
  const options = {
    method: 'POST',
    ca,
    checkServerIdentity: () => undefined, // the pinned certificate is the identity
    headers: { 'Grpc-Metadata-Macaroon': macaroon, 'Content-Length': Buffer.byteLength(body) },
  };
  return new Promise((resolve, reject) => {
    const request = https.request(`${process.env.LND_URL}/v2/router/send`, options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (text += chunk));
      response.on('end', () => {
        const last = JSON.parse(text.trim().split('\n').at(-1));
        if (last.result?.status !== 'SUCCEEDED') {
          return reject(new Error(`the node did not pay: ${last.result?.failure_reason ?? response.statusCode}`));
        }
        resolve({ preimage: last.result.payment_preimage, feesMsat: Number(last.result.fee_msat) });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

// What every script of this folder prints: one JSON object, read by tests/harness/peers.py.
export function report(object) {
  process.stdout.write(JSON.stringify(object) + '\n');
}

export async function describe(response) {
  return {
    status: response.status,
    body: await response.text(),
    receipt: response.headers.get('payment-receipt'),
    contentType: response.headers.get('content-type'),
  };
}
