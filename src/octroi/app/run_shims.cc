#include "octroi/app/run_shims.h"

namespace octroi::app {

const std::string_view kPythonShim =
    R"py("""Loaded by Python at its start, because octroi run put this folder on PYTHONPATH."""
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys

_BUNDLE = os.environ.get("OCTROI_RUN_CA_BUNDLE")


class _AfterStripe(importlib.abc.MetaPathFinder):
    """stripe verifies with a bundle that it brings along; it is told of ours once it is there."""

    def find_spec(self, name, path=None, target=None):
        if name != "stripe":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        loader = spec.loader

        class Then(importlib.abc.Loader):
            def create_module(self, spec):
                return loader.create_module(spec)

            def exec_module(self, module):
                loader.exec_module(module)
                module.ca_bundle_path = _BUNDLE

            def __getattr__(self, name):
                return getattr(loader, name)

        spec.loader = Then()
        return spec


if _BUNDLE:
    sys.meta_path.insert(0, _AfterStripe())


def _next():
    """The sitecustomize that this one stands before."""
    here = os.path.dirname(os.path.abspath(__file__))
    rest = [p for p in sys.path if os.path.abspath(p or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", rest)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


_next()
)py";

const std::string_view kNodeShim = R"js('use strict';
// Loaded by Node before the program, because octroi run named it in NODE_OPTIONS.
const { OCTROI_RUN_PROXY, OCTROI_RUN_HOSTS, OCTROI_RUN_CA } = process.env;
if (OCTROI_RUN_PROXY && OCTROI_RUN_HOSTS && OCTROI_RUN_CA) {
  const fs = require('node:fs');
  const http = require('node:http');
  const https = require('node:https');
  const tls = require('node:tls');

  const proxy = new URL(OCTROI_RUN_PROXY);
  const governed = new Set(OCTROI_RUN_HOSTS.split(','));
  const connectDirectly = tls.connect;
  const request = http.request;
  const direct = new http.Agent({ keepAlive: false });
  let authorities = null;
  const trusted = (more) => {
    authorities ??= [...tls.rootCertificates, fs.readFileSync(OCTROI_RUN_CA, 'utf8')];
    return more ? authorities.concat(more) : authorities;
  };
  const credentials = proxy.username
    ? 'Basic ' + Buffer.from(decodeURIComponent(proxy.username) + ':' +
        decodeURIComponent(proxy.password)).toString('base64')
    : null;

  // A connection to a vendor's host: through a tunnel that the proxy ends.
  const connectThrough = (options, done) => {
    const target = options.host + ':' + (options.port || 443);
    const headers = { host: target };
    if (credentials) headers['proxy-authorization'] = credentials;
    const ask = request({ host: proxy.hostname.replace(/^\[|\]$/g, ''), port: proxy.port || 80,
      method: 'CONNECT', path: target, headers, agent: direct });
    ask.once('connect', (answer, socket) => {
      if (answer.statusCode !== 200) {
        socket.destroy();
        done(new Error('octroi refused a tunnel to ' + target + ': ' + answer.statusCode));
        return;
      }
      const secured = connectDirectly({
        ...options, socket, path: undefined, lookup: undefined,
        servername: options.servername || options.host, ca: trusted(options.ca),
      });
      const failed = (error) => done(error);
      secured.once('error', failed);
      secured.once('secureConnect', () => {
        secured.removeListener('error', failed);
        done(null, secured);
      });
    });
    ask.once('error', done);
    ask.end();
  };

  const through = (host, port) => governed.has(String(host).toLowerCase()) && Number(port || 443) === 443;

  const create = https.Agent.prototype.createConnection;
  https.Agent.prototype.createConnection = function (options, done) {
    // An agent that knows the proxy itself (Node 24 and later) needs no help.
    const knows = this.options && this.options.proxyEnv;
    if (knows || typeof done !== 'function' || !options || options.socket ||
        !through(options.host, options.port)) {
      return create.apply(this, arguments);
    }
    connectThrough(options, done);
    return undefined;
  };

  // fetch, where it knows no proxy: its dispatcher is made anew with this connector.
  const major = Number(process.versions.node.split('.')[0]);
  const key = Symbol.for('undici.globalDispatcher.1');
  if (major < 24 && typeof globalThis.fetch === 'function') {
    try {
      const net = require('node:net');
      globalThis.fetch('data:,').catch(() => {});
      const Agent = globalThis[key].constructor;
      globalThis[key] = new Agent({
        connect: ({ hostname, port, protocol, servername }, done) => {
          const options = { host: hostname, port, servername: servername || hostname,
            ALPNProtocols: ['http/1.1'] };
          if (protocol === 'https:' && through(hostname, port)) {
            connectThrough(options, done);
            return;
          }
          const secure = protocol === 'https:';
          const socket = secure
            ? connectDirectly({ ...options, port: port || 443 })
            : net.connect({ host: hostname, port: port || 80 });
          socket.setNoDelay(true);
          const failed = (error) => done(error);
          socket.once('error', failed);
          socket.once(secure ? 'secureConnect' : 'connect', () => {
            socket.removeListener('error', failed);
            done(null, socket);
          });
        },
      });
    } catch {
      // This fetch is made otherwise; the base URLs in the environment are left.
    }
  }
}
)js";

}  // namespace octroi::app
