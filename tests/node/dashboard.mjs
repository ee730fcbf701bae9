// The dashboard as a browser would run it: its own page and module, as octroi serves them, in a DOM.
// Commands come as lines of JSON on stdin, and each is answered with one. The page's timers stand
// still until they are told to fire, so that nothing that a test sees depends on how fast it was.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { Window } from "happy-dom";

const base = process.argv[2];
const folder = mkdtempSync(join(tmpdir(), "octroi-dashboard-"));
const requests = []; // everything that was asked for
const saved = []; // what was downloaded
const faults = []; // what a browser would have in its console
let timers = new Map(); // of the page
let window;
let lastTimer = 0;
let loads = 0;
let underWay = 0;
let hidden = false;
let kept = {}; // the tab's storage, which outlives a page

process.on("unhandledRejection", (error) => faults.push(String(error?.stack ?? error)));
process.on("uncaughtException", (error) => faults.push(String(error?.stack ?? error)));

async function recorded(target, options = {}) {
  const url = new URL(target, window.document.baseURI).href;
  const headers = Object.fromEntries(new Headers(options.headers).entries());
  requests.push({
    method: options.method ?? "GET", url, headers: Object.keys(headers), credentials: options.credentials ?? "",
  });
  ++underWay;
  try {
    return await fetch(url, options);
  } finally {
    --underWay;
  }
}

async function load(path = "") {
  timers = new Map();
  if (window) {
    kept = Object.fromEntries(Array.from({ length: window.sessionStorage.length }, (_, i) => {
      const name = window.sessionStorage.key(i);
      return [name, window.sessionStorage.getItem(name)];
    }));
    await window.happyDOM.close();
  }
  window = new Window({ url: `${base}/${path}` });
  for (const [name, value] of Object.entries(kept)) window.sessionStorage.setItem(name, value);
  window.document.write(await (await fetch(`${base}/`)).text());
  Object.defineProperty(window.document, "hidden", { get: () => hidden, configurable: true });
  window.HTMLAnchorElement.prototype.click = function () {
    if (this.hasAttribute("download")) saved.at(-1).name = this.getAttribute("download");
    else window.location.href = this.href;
  };
  const page = {
    window, document: window.document, location: window.location, sessionStorage: window.sessionStorage,
    Node: window.Node, fetch: recorded,
    setTimeout: (run, delay = 0) => {
      timers.set(++lastTimer, { run, delay });
      return lastTimer;
    },
    clearTimeout: (name) => timers.delete(name),
  };
  URL.createObjectURL = (blob) => {
    const one = { name: "", text: "" };
    saved.push(one);
    blob.text().then((text) => (one.text = text));
    return "blob:saved";
  };
  // In the module's own scope, so that Node's timers and fetch stay what they are.
  globalThis.octroiPage = page;
  const browser = `const { ${Object.keys(page).join(", ")} } = globalThis.octroiPage; `;
  const file = join(folder, `dashboard-${++loads}.mjs`);
  writeFileSync(file, browser + (await (await fetch(`${base}/dashboard.js`)).text()));
  await import(pathToFileURL(file).href);
}

const doc = () => window.document;
const visible = (element) => !element.closest("[hidden], dialog:not([open])");
const all = (selector) => [...doc().querySelectorAll(selector)].filter(visible);

function one(selector) {
  const found = all(selector);
  if (found.length !== 1) throw new Error(`${selector}: ${found.length} of them`);
  return found[0];
}

/** What is visible of it, with blanks between its parts. */
function textOf(node) {
  if (node.nodeType === window.Node.TEXT_NODE) return node.data;
  if (node.nodeType !== window.Node.ELEMENT_NODE || !visible(node)) return "";
  return [...node.childNodes].map(textOf).join(" ");
}
const plain = (text) => text.replace(/\s+/g, " ").trim();

/** What a screen reader would call it. */
const nameOf = (e) => e.getAttribute("aria-label") ?? plain(textOf(e));

const commands = {
  load: async ({ path }) => load(path),
  /** The text of what is visible; empty when nothing matches. */
  text: ({ selector }) => all(selector).map((e) => plain(textOf(e))),
  names: ({ selector }) => all(selector).map(nameOf),
  attributes: ({ selector, name }) => all(selector).map((e) => e.getAttribute(name)),
  /** Also of what is hidden. */
  count: ({ selector }) => doc().querySelectorAll(selector).length,
  press: ({ name }) => {
    const found = all("button, a").filter((e) => nameOf(e) === name);
    if (found.length !== 1) throw new Error(`${found.length} buttons are called ${name}; there are: ${all("button, a").map(nameOf).join(" | ")}`);
    found[0].focus();
    found[0].click();
  },
  type: ({ selector, text }) => {
    const field = one(selector);
    if (field.type === "checkbox") {
      field.checked = Boolean(text);
      return;
    }
    field.value = text;
    field.dispatchEvent(new window.Event("input", { bubbles: true }));
    field.dispatchEvent(new window.Event("change", { bubbles: true }));
  },
  submit: ({ selector }) => one(selector).dispatchEvent(new window.Event("submit", { cancelable: true, bubbles: true })),
  focus: () => ({ id: doc().activeElement?.id ?? "", act: doc().activeElement?.dataset?.act ?? "", name: nameOf(doc().activeElement) }),
  focusOn: ({ name }) => all("button").find((e) => nameOf(e) === name).focus(),
  hide: ({ value }) => {
    hidden = value;
    doc().dispatchEvent(new window.Event("visibilitychange"));
  },
  timers: () => [...timers.values()].map((t) => t.delay),
  fire: () => {
    const due = [...timers.values()];
    timers.clear();
    for (const timer of due) timer.run();
  },
  requests: () => requests,
  quiet: () => underWay === 0,
  saved: () => saved,
  faults: () => faults,
  state: () => ({
    url: window.location.href,
    cookies: doc().cookie,
    local: window.localStorage.length,
    session: window.sessionStorage.length,
    title: doc().title,
    ids: [...doc().querySelectorAll("[id]")].map((e) => e.id),
  }),
};

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const { command, ...words } = JSON.parse(line);
    answer = { value: (await commands[command](words)) ?? null };
  } catch (error) {
    answer = { error: String(error?.stack ?? error) };
  }
  console.log(JSON.stringify(answer));
}
rmSync(folder, { recursive: true, force: true });
process.exit(0);
