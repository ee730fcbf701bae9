// WebSockets with npm's ws, at either end.
//   node websocket.mjs serve                       prints {"port":N}, then one event a line
//   node websocket.mjs client WHAT URL AUTH [CODE] does WHAT over one connection and reports
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import WebSocket, { WebSocketServer } from 'ws';

const LARGE = 16 * 1024 * 1024;
const say = (event) => process.stdout.write(JSON.stringify(event) + '\n');

function serve() {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    maxPayload: 2 * LARGE,
    perMessageDeflate: true,
    handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false),
  });
  server.on('listening', () => say({ port: server.address().port }));
  server.on('connection', (socket, request) => {
    const path = new URL(request.url, 'http://a').pathname;
    socket.on('close', (code, reason) => say({ path, code, reason: reason.toString() }));
    socket.on('error', () => {});
    socket.on('pong', (data) => socket.send('pong ' + data.toString()));
    socket.on('message', (data, binary) => {
      const [, kind, code] = path.match(/\/(\w+)(?:\/(\d+))?$/);
      if (kind === 'close') socket.close(Number(code), 'bye ' + code);
      else if (kind === 'abrupt') socket.terminate();
      else if (kind === 'ping') socket.ping(data);
      else socket.send(data, { binary });
    });
  });
  process.on('SIGTERM', () => process.exit(0));
}

async function client(what, url, authorization, code) {
  const options = { headers: { authorization }, maxPayload: 2 * LARGE, perMessageDeflate: what !== 'plain' };
  const socket = new WebSocket(url, ['other', 'chat'], options);
  const inbox = [];
  let wake = () => {};
  socket.on('message', (data, binary) => {
    inbox.push({ data, binary });
    wake();
  });
  const closed = once(socket, 'close').then(([number, reason]) => ({ code: number, reason: reason.toString() }));
  const next = async () => {
    while (inbox.length === 0) {
      await Promise.race([new Promise((resolve) => (wake = resolve)), closed.then((c) => Promise.reject(new Error(`closed: ${c.code}`)))]);
    }
    return inbox.shift();
  };
  socket.on('error', () => {});
  await Promise.race([once(socket, 'open'), closed.then((c) => Promise.reject(new Error(`not opened: ${c.code}`)))]);
  const report = { extensions: socket.extensions, protocol: socket.protocol };
  switch (what) {
    case 'echo':
    case 'plain': {
      const messages = ['grüße', '', Buffer.from([...Array(256).keys()]), randomBytes(LARGE), 'ä'.repeat(LARGE / 2), Buffer.alloc(LARGE)];
      for (const message of messages) socket.send(message);
      for (const message of messages) {
        const { data, binary } = await next();
        const sum = (bytes) => createHash('sha256').update(bytes).digest('hex');
        if (binary !== (typeof message !== 'string')) throw new Error('the type of a message changed');
        if (sum(data) !== sum(message)) throw new Error(`a message of ${message.length} changed`);
      }
      report.messages = messages.length;
      socket.close(1000);
      break;
    }
    case 'fragments': {
      socket.send('one ', { fin: false });
      socket.ping('between');
      socket.send('two ', { fin: false });
      socket.send('three');
      report.answer = (await next()).data.toString();
      const parts = 1000;
      for (let i = 0; i < parts; ++i) socket.send(Buffer.alloc(i, i), { fin: i === parts - 1, binary: true });
      report.length = (await next()).data.length;
      socket.close(1000);
      break;
    }
    case 'ping': {
      const pong = once(socket, 'pong');
      socket.ping('mine');
      report.pong = (await pong)[0].toString();
      socket.send('yours');
      report.answer = (await next()).data.toString();
      socket.close(1000);
      break;
    }
    case 'closes':
      socket.send('here');
      await next();
      socket.close(Number(code), 'bye ' + code);
      break;
    case 'closed':
      socket.send('now');
      break;
    case 'vanishes':
      socket.send('here');
      await next();
      socket.terminate();
      break;
    default:
      throw new Error(`what is ${what}?`);
  }
  say({ ...report, closed: await closed });
}

const [mode, ...words] = process.argv.slice(2);
if (mode === 'serve') serve();
else await client(...words);
