// A server on Node's http with its strict parser: answers each request with its target and tells, one
// JSON object a line, what it was. The first line tells its port.
import { createServer } from 'node:http';

const say = (event) => process.stdout.write(JSON.stringify(event) + '\n');
const server = createServer({ insecureHTTPParser: false, keepAliveTimeout: 60000 }, (request, response) => {
  let body = 0;
  let told = false;
  const tell = (broken) => {
    if (told) return;
    told = true;
    say({ id: request.headers['x-request-id'], method: request.method, target: request.url, body, broken });
  };
  request.on('data', (piece) => (body += piece.length));
  request.on('error', () => tell(true));
  request.on('close', () => tell(!request.complete));
  request.on('end', () => {
    tell(false);
    response.end(request.url);
  });
});
server.on('clientError', (error, socket) => {
  // An end within a message is no fault: that is how octroi gives up one that it was sent broken.
  if (!['ECONNRESET', 'HPE_INVALID_EOF_STATE'].includes(error.code)) say({ fault: error.code, reason: error.reason });
  socket.destroy();
});
server.on('upgrade', (request, socket) => {
  say({ id: request.headers['x-request-id'], method: request.method, target: request.url, body: 0, broken: false });
  socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${request.url.length}\r\nConnection: close\r\n\r\n${request.url}`);
});
server.listen(0, '127.0.0.1', () => say({ port: server.address().port }));
process.on('SIGTERM', () => process.exit(0));
