// The dashboard of octroi's admin listener: one module without a build step.
//
// Whatever it shows it asks of /api/v1 with the token that was typed in, which is sent in
// Authorization and nowhere else. Names come from agents and from strangers: they become text nodes
// and never markup. Money stays in integers. What is shown is asked for again every few seconds
// while the page is visible, and more rarely while that fails.

const pollEvery = 5_000;
const longestPause = 60_000;
const keysAtOnce = 100;
const auditPage = 50;
const mostAuditRows = 2_000;
const exportPage = 1_000;
const tokenName = "octroi-admin-token";

const byId = (id) => document.getElementById(id);

// --- Text ---------------------------------------------------------------------------------------

// What has no shape of its own but changes how the rest looks (controls, marks of direction, joiners)
// is written out: a name must not be able to look like another one.
const unseen = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const shown = (text) =>
  String(text ?? "").replace(unseen, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);

/** An element; children are elements and texts, never markup. */
function el(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(key, String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === "") continue;
    made.append(child instanceof Node ? child : document.createTextNode(shown(child)));
  }
  return made;
}

const counted = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

const localTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** A moment in the zone of the browser; its title says it in UTC. */
function when(iso) {
  const moment = new Date(iso ?? "");
  if (Number.isNaN(moment.getTime())) return el("span", {}, iso ? String(iso) : "–");
  const utc = moment.toISOString();
  return el("time", { datetime: utc, title: `${utc.slice(0, 19).replace("T", " ")} UTC` },
    localTime.format(moment));
}

// --- Money --------------------------------------------------------------------------------------

/** Integers of the API as BigInt; null where there is none that is exact. */
const whole = (n) => (Number.isSafeInteger(n) ? BigInt(n) : null);

/** 1234567n with 3 places: "1,234.567"; `least` places are shown in any case. */
function decimal(n, places, least = 0) {
  const sign = n < 0n ? "-" : "";
  const digits = (n < 0n ? -n : n).toString().padStart(places + 1, "0");
  const cut = digits.length - places;
  let fraction = digits.slice(cut);
  while (fraction.length > least && fraction.endsWith("0")) fraction = fraction.slice(0, -1);
  const grouped = digits.slice(0, cut).replace(/\B(?=(\d{3})+$)/g, ",");
  return sign + grouped + (fraction ? `.${fraction}` : "");
}

const sats = (msat) => (whole(msat) === null ? "?" : `${decimal(whole(msat), 3)} sat`);
const dollars = (micro) => (whole(micro) === null ? "?" : `${decimal(whole(micro), 6, 2)} usd`);

/** "12.5 usd" and "12" of a cap, in millionths; null when it is none. */
function millionths(text) {
  const parts = /^(\d+)(?:\.(\d{1,6}))?(?: usd)?$/.exec(text ?? "");
  return parts ? BigInt(parts[1] + (parts[2] ?? "").padEnd(6, "0")) : null;
}

/** An amount of an audit row, which counts in the smallest unit of its currency. */
function amountOf(row) {
  const amount = whole(row.amount);
  if (amount === null) return "";
  if (row.currency === "usd") return `${decimal(amount, 2, 2)} usd`;
  if (row.currency === "msat") return sats(row.amount);
  return `${decimal(amount, 0)} of the smallest unit of ${row.currency ?? "its currency"}`;
}

// --- The API ------------------------------------------------------------------------------------

class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

let token = "";

/** An answer of the API as text. Paths are relative: the page may stand below a prefix. */
async function askText(path, { method = "GET", query = {}, signal } = {}) {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value) parameters.set(key, value);
  const target = `api/v1/${path}${parameters.size ? `?${parameters}` : ""}`;
  let answer;
  try {
    answer = await fetch(target, {
      method,
      headers: { Authorization: `Bearer ${token}` },
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "the server cannot be reached");
  }
  const text = await answer.text();
  if (answer.ok) return text;
  let detail = "";
  try {
    detail = JSON.parse(text).detail;
  } catch {
    // Not octroi's own words, but those of something before it.
  }
  throw new ApiError(answer.status, detail || `the server answered ${answer.status}`);
}

const ask = async (path, options) => JSON.parse(await askText(path, options));

/** Null where this server has no such thing. */
async function askIfThere(path, options) {
  try {
    return await ask(path, options);
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

const named = (...parts) => parts.map(encodeURIComponent).join("/");

// --- What is shown ------------------------------------------------------------------------------

const lastShown = new WeakMap();

/** Makes the children of `parent` those of `items`, touching only what changed: who is reading or
 *  about to press something must not lose it to the next answer. */
function fill(parent, items, keyOf, build, more = () => "") {
  const had = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const focused = document.activeElement;
  const home = focused && parent.contains(focused)
    ? [...parent.children].find((child) => child.contains(focused)) : null;
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const text = JSON.stringify(item) + more(item);
    let child = had.get(key);
    had.delete(key);
    if (!child || lastShown.get(child) !== text) {
      const fresh = build(item);
      fresh.dataset.key = key;
      lastShown.set(fresh, text);
      if (child) {
        const open = [...child.querySelectorAll("details")].map((d) => d.open);
        fresh.querySelectorAll("details").forEach((d, i) => (d.open = open[i] ?? false));
        if (next === child) next = fresh;
        child.replaceWith(fresh);
        if (home === child) {
          fresh.querySelector(`[data-act="${focused.dataset.act}"]`)?.focus();
        }
      }
      child = fresh;
    }
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
  for (const gone of had.values()) {
    if (gone === home) heading()?.focus();
    gone.remove();
  }
}

/** The body of the table below `place`, which is made at first. Roles are said: laid out as blocks,
 *  tables lose theirs. */
function tableIn(place, label, columns) {
  let body = place.querySelector("tbody");
  if (body) return body;
  body = el("tbody", { role: "rowgroup" });
  const heads = columns.map((c) => el("th", { role: "columnheader", scope: "col" }, c));
  place.replaceChildren(el("table", { role: "table", "aria-label": label },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads)), body));
  return body;
}

/** A row; each cell is a child or a list of them. */
function row(columns, cells) {
  return el("tr", { role: "row" }, cells.map((cell, i) =>
    el("td", { role: "cell", "data-label": columns[i] }, cell)));
}

/** Pairs of a name and what stands beside it; those without anything are left out. */
function facts(list, pairs) {
  const there = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  list.replaceChildren(...there.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  return list;
}

const sub = (...children) => el("span", { class: "sub" }, ...children);
const tag = (text, kind = "") => el("span", { class: `tag ${kind}` }, text);
const id = (text) => el("span", { class: "id" }, text);

function button(text, act, label, run, kind) {
  const made = el("button", { type: "button", "data-act": act, "aria-label": label, class: kind }, text);
  made.addEventListener("click", run);
  return made;
}

const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text; // what did not change is not read out
};
const say = (text) => setText(byId("status"), shown(text));
const complain = (text) => setText(byId("problem"), shown(text));

/** Resolves to whether the question was answered with yes. The focus goes back to what asked, or,
 *  when that was redrawn meanwhile, to the heading. */
function confirmed(title, text, yes) {
  const dialog = byId("confirm");
  const asked = document.activeElement;
  byId("confirm-title").textContent = shown(title);
  byId("confirm-text").textContent = text.map(shown).join("\n");
  byId("confirm-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      (asked?.isConnected ? asked : heading()).focus();
      resolve(dialog.returnValue === "yes");
    }, { once: true });
  });
}

/** Runs what somebody asked for, once at a time, and says how it went. The button is not disabled:
 *  it would lose the focus. */
async function act(pressed, work) {
  if (pressed.hasAttribute("aria-busy")) return;
  pressed.setAttribute("aria-busy", "true");
  complain("");
  try {
    say(await work());
  } catch (error) {
    if (!refused(error)) complain(error.message);
  } finally {
    pressed.removeAttribute("aria-busy");
  }
  poll();
}

// --- What policies allow ------------------------------------------------------------------------

const usage = new Map(); // by policy: its caps

/** Asks what is counted against these policies, a few at a time. */
async function readUsage(names, signal) {
  const waiting = [...new Set(names)];
  const one = async () => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      const answer = await askIfThere(`policies/${named(name)}/usage`, { signal });
      if (answer) usage.set(name, answer.caps);
      else usage.delete(name);
    }
  };
  await Promise.all(Array.from({ length: 4 }, one));
}

const nothing = (amount) => millionths(amount) === 0n;

function capName(cap) {
  const what = cap.direction === "all" ? "" : ` ${cap.direction}s`;
  const of = cap.by === "policy" ? "" : `, each ${cap.by}`;
  const budget = cap.budget ? `, budget ${cap.budget}` : "";
  const per = cap.per === "lifetime" ? "in its lifetime" : `a ${cap.per}`;
  return `${cap.unit === "calls" ? "calls" : "usd"} ${per}${what}${of}${budget}`;
}

/** How much of a cap is gone: a bar, and the same in words. */
function gauge(cap) {
  const limit = millionths(cap.limit);
  const left = millionths(cap.left);
  const used = limit && left !== null ? Number(((limit - left) * 100n) / limit) : 100;
  return [
    el("meter", { min: 0, max: 100, low: 70, high: 90, optimum: 0, value: used, "aria-label": `${used} percent used` },
      `${used} %`),
    `${cap.settled} of ${cap.limit}`,
  ];
}

const capColumns = ["Cap", "Spent", "Held", "Left", "Begins anew"];

function capRow(columns, cap, before = []) {
  return row(columns, [...before, [capName(cap), cap.whose ? sub(cap.whose) : null], gauge(cap),
    nothing(cap.held) ? "–" : cap.held, cap.left, cap.resets_at ? when(cap.resets_at) : "–"]);
}

/** What a key's holder spent today: by the narrowest of its policy's daily caps. */
function spentToday(key) {
  const daily = (usage.get(key.policy) ?? []).filter((c) => c.per === "day" && c.unit === "usd" && c.direction === "all");
  const whose = [["key", key.line || key.id], ["agent", key.agent], ["run", key.run]];
  for (const [by, name] of whose) {
    const caps = name ? daily.filter((c) => c.by === by) : [];
    if (!caps.length) continue;
    const mine = caps.find((c) => c.whose === `${by}:${name}`) ?? { ...caps[0], settled: "0 usd", held: "0 usd", left: caps[0].limit };
    return [...gauge(mine), held(mine), by === "key" ? null : sub(`of this ${by}`)];
  }
  const all = daily.find((c) => c.by === "policy");
  return all ? [...gauge(all), held(all), sub("of the whole policy")] : "–";
}

const held = (cap) => (nothing(cap.held) ? null : sub(`and ${cap.held} held`));

// --- Views --------------------------------------------------------------------------------------

let has = { vault: false, paywall: false, audit: false, services: false };

async function showReady(signal) {
  const badge = byId("ready");
  let text = "";
  try {
    const answer = await fetch("readyz", { cache: "no-store", credentials: "omit", signal });
    text = (await answer.text()).trim();
    setText(badge, answer.ok ? "ready" : "not ready");
    badge.className = `badge ${answer.ok ? "good" : "bad"}`;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "the server cannot be reached");
  }
  badge.hidden = false;
  return text;
}

async function showOverview(signal) {
  const [ready, info] = await Promise.all([showReady(signal), ask("info", { signal })]);
  const node = info.node;
  facts(byId("server"), [
    ["State", ready === "ok" ? "ready" : ready],
    ["Version", info.version],
    ["Realm", info.realm],
    ["Node", node ? `${node.alias || node.backend} (${node.backend}, ${node.network}${node.synced ? "" : ", not in sync"})` : null],
  ]);
  if (has.vault) await showCaps(signal);
  if (has.paywall) await showMoneyIn(signal);
}

async function showCaps(signal) {
  const { policies } = await ask("policies", { signal });
  await readUsage(policies.map((p) => p.name), signal);
  const columns = ["Vendor", "Policy", ...capColumns];
  const caps = policies.flatMap((p) => (usage.get(p.name) ?? []).map((cap) => ({ vendor: p.vendor, policy: p.name, cap })));
  const untouched = ({ cap }) => nothing(cap.settled) && nothing(cap.held);
  caps.sort((a, b) => untouched(a) - untouched(b)); // sorting is stable: else the order of policies
  fill(tableIn(byId("caps"), "Caps", columns), caps,
    (c) => JSON.stringify([c.policy, c.cap.per, c.cap.direction, c.cap.by, c.cap.budget, c.cap.unit, c.cap.whose]),
    (c) => capRow(columns, c.cap, [c.vendor, c.policy]));
}

async function showMoneyIn(signal) {
  const day = (back) => new Date(Date.now() - back * 86_400_000).toISOString().slice(0, 10);
  const [{ revenue }, totals] = await Promise.all([
    ask("revenue", { query: { from: day(29) }, signal }),
    askIfThere("sessions/totals", { signal }),
  ]);
  const services = new Map();
  const add = (name, r) => {
    const sums = services.get(name) ?? { name, today: 0n, month: 0n, sales: 0n };
    const amount = whole(r.amount_msat) ?? 0n;
    if (r.day === day(0)) sums.today += amount;
    sums.month += amount;
    sums.sales += whole(r.sales) ?? 0n;
    services.set(name, sums);
  };
  for (const r of revenue) {
    add("all services", r);
    add(`${r.service} (${r.auth_type})`, r);
  }
  const columns = ["Service", "Today (UTC)", "30 days", "Sales in 30 days"];
  const rows = [...services.values()].map((s) => ({
    name: s.name, today: `${decimal(s.today, 3)} sat`, month: `${decimal(s.month, 3)} sat`, sales: decimal(s.sales, 0),
  }));
  if (!rows.length) rows.push({ name: "all services", today: "0 sat", month: "0 sat", sales: "0" });
  fill(tableIn(byId("revenue"), "Money in", columns), rows, (r) => r.name,
    (r) => row(columns, [r.name, r.today, r.month, r.sales]));
  facts(byId("session-totals"), totals ? [
    ["Deposits", sats(totals.deposits_msat)],
    ["Spent", sats(totals.spent_msat)],
    ["Open balances", sats(totals.open_balances_msat)],
    ["Refunded", sats(totals.refunded_msat)],
    ["Refunds to pay", sats(totals.unpaid_refunds_msat)],
  ] : [["Sessions", "none"]]);
}

// --- Keys

let keys = [];
let keysShown = keysAtOnce;

async function showKeys(signal) {
  keys = (await ask("vault/keys", { signal })).keys.reverse(); // the newest first
  await readUsage(keys.filter((k) => k.state !== "revoked").map((k) => k.policy), signal);
  drawKeys();
}

const stateOf = (key) =>
  key.state !== "revoked" && key.expires_at && new Date(key.expires_at) <= new Date() ? "expired" : key.state;
const nameOf = (key) => (key.name ? `“${key.name}” (${key.id})` : key.id);

function drawKeys() {
  const wanted = byId("keys-filter").value.trim().toLowerCase();
  const text = (k) =>
    [k.id, k.name, k.agent, k.run, k.server, k.vendor, k.policy, k.mode, stateOf(k)].join("\n").toLowerCase();
  const found = keys.filter((k) => text(k).includes(wanted));
  setText(byId("keys-count"), `${found.length} of ${keys.length} keys`);
  byId("keys-more").hidden = found.length <= keysShown;
  fill(tableIn(byId("keys"), "Vault keys", keyColumns), found.slice(0, keysShown), (k) => k.id, keyRow,
    (k) => stateOf(k) + JSON.stringify(usage.get(k.policy) ?? null));
}

const keyColumns = ["Key", "State", "Agent", "Run", "Vendor, policy", "Expires", "Spent today", "Actions"];

function keyRow(key) {
  const state = stateOf(key);
  const kind = { active: "good", paused: "warn" }[state] ?? "bad";
  const marks = [
    key.canary ? tag("canary", "warn") : null,
    key.parent ? sub("below ", id(key.parent)) : null,
    key.networks ? sub(`from ${key.networks}`) : null,
  ];
  return row(keyColumns, [
    [key.name || id(key.id), key.name ? sub(id(key.id)) : null, marks],
    [tag(state, kind), sub(key.mode)],
    [key.agent || "–", key.server ? sub(key.server) : null],
    key.run || "–",
    [key.vendor, sub(key.policy)],
    key.expires_at ? when(key.expires_at) : "never",
    key.state === "revoked" ? "–" : spentToday(key),
    keyActions(key),
  ]);
}

function keyActions(key) {
  if (key.state === "revoked") return ["none: revoked is final"];
  const change = (verb, done) => async () => {
    await ask(`vault/keys/${named(key.id, verb)}`, { method: "POST" });
    return `The key ${nameOf(key)} is ${done}.`;
  };
  const pause = key.state === "paused"
    ? button("Resume", "pause", `Resume ${nameOf(key)}`, (e) => act(e.currentTarget, change("resume", "active")))
    : button("Pause", "pause", `Pause ${nameOf(key)}`, (e) => act(e.currentTarget, change("pause", "paused")));
  const revoke = button("Revoke", "revoke", `Revoke ${nameOf(key)}`, async (e) => {
    const pressed = e.currentTarget;
    const text = [
      [key.agent && `agent ${key.agent}`, key.run && `run ${key.run}`, `policy ${key.policy}`].filter(Boolean).join(", "),
      "This is final. No further call with it, or with a key below it, is forwarded.",
    ];
    if (await confirmed(`Revoke the key ${nameOf(key)}?`, text, "Revoke")) act(pressed, change("revoke", "revoked"));
  }, "grave");
  return [pause, revoke];
}

// --- Approvals

async function showApprovals(signal) {
  const state = byId("approvals-state").value;
  const { approvals } = await ask("approvals", { query: { state }, signal });
  setText(byId("approvals-count"), approvals.length ? counted(approvals.length, "ticket") : "No tickets.");
  fill(byId("approvals"), approvals, (t) => t.id, approvalCard);
}

/** Shown in every view: somebody may be waiting. */
async function countWaiting(signal) {
  const { approvals } = await ask("approvals", { query: { state: "pending" }, signal });
  const badge = byId("waiting");
  setText(badge, `${approvals.length} waiting`);
  badge.hidden = approvals.length === 0;
  document.title = approvals.length ? `(${approvals.length}) octroi` : "octroi";
}

function approvalCard(ticket) {
  const title = `${ticket.operation} at ${ticket.vendor}: ${ticket.amount}`;
  const list = facts(el("dl", { class: "facts" }), [
    ["Amount", ticket.amount],
    ["Customer", ticket.customer],
    ["Agent", ticket.agent],
    ["Run", ticket.run],
    ["Why", ticket.reason],
    ["Policy", ticket.policy],
    ["Key", id(ticket.key_id)],
    ["Request", `${ticket.method} ${ticket.path}`],
    ["Body (SHA-256)", id(ticket.body_sha256)],
    ["Asked", when(ticket.asked_at)],
    ["Expires", when(ticket.expires_at)],
    ["State", ticket.state],
    ["Decided", ticket.decided_at ? when(ticket.decided_at) : null],
    ["By", ticket.decided_by],
  ]);
  const actions = ticket.state === "pending"
    ? el("p", { class: "actions" }, decision(ticket, title, "approve", "Approve", "approved"),
        decision(ticket, title, "deny", "Deny", "denied"))
    : null;
  return el("li", {}, el("h2", {}, title), el("p", { class: "sub" }, id(ticket.id)), list, actions);
}

function decision(ticket, title, verb, name, done) {
  return button(name, verb, `${name} ${ticket.id}, ${title}`, async (e) => {
    const pressed = e.currentTarget;
    const text = [
      title,
      `Customer: ${ticket.customer || "none is named"}`,
      `Agent: ${ticket.agent || "none is named"}; run: ${ticket.run || "none"}`,
      verb === "approve" ? "Exactly this request passes, once." : "This request is refused until its ticket is over.",
    ];
    if (!(await confirmed(`${name} ${ticket.id}?`, text, name))) return;
    act(pressed, async () => {
      await ask(`approvals/${named(ticket.id, verb)}`, { method: "POST", query: { by: byId("by").value.trim() } });
      return `The ticket ${ticket.id} is ${done}.`;
    });
  }, verb === "deny" ? "grave" : "");
}

// --- Policies

async function showPolicies(signal) {
  const { policies } = await ask("policies", { signal });
  await readUsage(policies.map((p) => p.name), signal);
  fill(byId("policies"), policies, (p) => p.name, policyCard, (p) => JSON.stringify(usage.get(p.name) ?? null));
}

function policyCard(policy) {
  const caps = el("div");
  const counted = usage.get(policy.name) ?? [];
  tableIn(caps, `Caps of ${policy.name}`, capColumns).append(...counted.map((cap) => capRow(capColumns, cap)));
  return el("li", {},
    el("h2", {}, policy.name),
    facts(el("dl", { class: "facts" }), [
      ["Vendor", policy.vendor],
      ["From", policy.source === "file" ? "the configuration file" : "the store"],
      ["Version", String(policy.version)],
      ["Mode", policy.mode],
      ["Hash", id(policy.hash.slice(0, 16))],
      ["Advice", policy.advice?.length ? policy.advice.join("; ") : null],
    ]),
    el("details", {}, el("summary", {}, "Text"), preformatted(policy.policy)),
    counted.length ? el("details", {}, el("summary", {}, "Caps"), caps) : null,
    policy.source === "store" ? versionsOf(policy) : null);
}

/** Line breaks are ours here, so they are not written out. */
function preformatted(value) {
  const made = el("pre", { tabindex: 0 });
  made.textContent = JSON.stringify(value, null, 2).split("\n").map(shown).join("\n");
  return made;
}

function versionsOf(policy) {
  const place = el("div");
  const columns = ["Version", "Since", "Text"];
  const details = el("details", {}, el("summary", {}, "Versions"), place);
  details.addEventListener("toggle", async () => {
    if (!details.open || place.firstChild) return;
    try {
      const { versions } = await ask(`policies/${named(policy.name)}/versions`);
      tableIn(place, `Versions of ${policy.name}`, columns).append(...versions.map((v) =>
        row(columns, [String(v.version), when(v.at), v.removed ? "removed" : preformatted(v.policy)])));
    } catch (error) {
      if (!refused(error)) complain(error.message);
    }
  });
  return details;
}

// --- Paywall

let sessionsBefore = []; // where the pages begin that are shown beside the first

async function showPaywall(signal) {
  if (has.services) {
    const { services } = await ask("services", { signal });
    const columns = ["Service", "From", "State", "Scheme", "Version", "Changed"];
    fill(tableIn(byId("services"), "Services", columns), services, (s) => s.name, (s) => row(columns, [
      s.name, s.source === "file" ? "the configuration file" : "the store", s.state, s.auth_scheme ?? "–",
      s.version === undefined ? "–" : String(s.version), s.updated_at ? when(s.updated_at) : "–",
    ]));
  }
  await showSessions(signal);
}

async function showSessions(signal) {
  const all = [];
  let next = null;
  for (const before of ["", ...sessionsBefore]) {
    const page = await askIfThere("sessions", { query: { before, limit: "50" }, signal });
    all.push(...(page?.sessions ?? []));
    next = page?.next_before ?? null;
  }
  const columns = ["Session", "Service", "State", "Deposit", "Spent", "Balance", "Opened", "Refund"];
  fill(tableIn(byId("sessions"), "Sessions", columns), all, (s) => s.id, (s) => row(columns, [
    id(s.id.slice(0, 16)), s.service, s.state, sats(s.deposit_msat), sats(s.spent_msat), sats(s.balance_msat),
    when(s.opened_at), s.refund ? `${s.refund.status}, ${sats(s.refund.amount_msat)}` : "–",
  ]));
  const more = byId("sessions-more");
  more.hidden = next === null;
  more.dataset.before = next ?? "";
}

// --- Audit

let audit = { filter: "", rows: [], next: null };

const auditFilter = () => ({
  run: byId("audit-run").value.trim(),
  verdict: byId("audit-verdict").value,
  kind: byId("audit-kind").value,
});
const placeOf = (r) => `${r.writer}/${r.seq}`;

/** The first page again. What came is put before what is known; when more came than a page holds,
 *  what is known is left, so that no row is missing between two that are shown. */
async function showAudit(signal) {
  const query = auditFilter();
  const filter = JSON.stringify(query);
  const page = await ask("audit", { query: { ...query, limit: String(auditPage) }, signal });
  const known = filter === audit.filter ? audit.rows : [];
  const places = new Set(page.rows.map(placeOf));
  const rest = known.filter((r) => !places.has(placeOf(r)));
  const joined = rest.length < known.length;
  audit = joined
    ? { filter, rows: [...page.rows, ...rest].slice(0, mostAuditRows), next: audit.next }
    : { filter, rows: page.rows, next: page.next };
  drawAudit();
}

async function showOlder() {
  if (!audit.next || audit.rows.length >= mostAuditRows) return "There is no more to show.";
  const { filter, next } = audit;
  const page = await ask("audit", { query: { ...JSON.parse(filter), limit: String(auditPage), cursor: next } });
  if (audit.filter !== filter || audit.next !== next) return "";
  audit.rows.push(...page.rows);
  audit.next = page.next;
  drawAudit();
  return `${counted(page.rows.length, "older row")}.`;
}

const auditColumns = ["When", "What became of it", "Who", "What", "Money", "More"];

function drawAudit() {
  byId("audit-more").hidden = !audit.next || audit.rows.length >= mostAuditRows;
  fill(tableIn(byId("audit"), "Audit", auditColumns), audit.rows, placeOf, auditRow);
}

const inColumns = new Set(["at", "kind", "verdict", "reason", "agent", "run", "key_name", "vendor", "operation",
  "method", "path", "amount", "currency", "reserved_micro_usd", "settled_micro_usd"]);

function auditRow(r) {
  const kind = { allowed: "good", denied: "bad", failed: "bad" }[r.verdict] ?? "warn";
  const rest = Object.entries(r).filter(([name]) => !inColumns.has(name))
    .map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]);
  return row(auditColumns, [
    when(r.at),
    [r.verdict ? tag(r.verdict, kind) : null, sub(r.kind), r.reason ? sub(r.reason) : null],
    [r.agent || r.key_name || "–", r.agent && r.key_name ? sub(r.key_name) : null, r.run ? sub(`run ${r.run}`) : null],
    [r.vendor ? `${r.vendor} ${r.operation ?? ""}` : r.operation ?? "", sub(`${r.method ?? ""} ${r.path ?? ""}`.trim())],
    [amountOf(r), r.settled_micro_usd === undefined ? null : sub(`${dollars(r.settled_micro_usd)} settled`),
      r.settled_micro_usd === undefined && r.reserved_micro_usd !== undefined ? sub(`${dollars(r.reserved_micro_usd)} reserved`) : null],
    el("details", {}, el("summary", {}, "all of it"), facts(el("dl", { class: "facts" }), rest)),
  ]);
}

/** What `octroi audit export` writes: checkpoints, and then every chain from its first row. */
async function exportAll() {
  const { writers } = await ask("audit/writers");
  const parts = [];
  let rows = 0;
  for (const { writer } of writers) parts.push(...await exportPages("checkpoints", writer, "after", 0));
  for (const { writer } of writers) {
    const pages = await exportPages("rows", writer, "from", 1, (count) => say(`${rows + count} rows so far.`));
    for (const page of pages) rows += lines(page);
    parts.push(...pages);
  }
  save(parts, "octroi-audit.jsonl");
  return `${counted(rows, "row")} of ${counted(writers.length, "writer")}.`;
}

const lines = (text) => text.split("\n").length - 1;

/** The pages of one chain, as the server wrote them: hashes are of bytes. */
async function exportPages(what, writer, from, first, told = () => {}) {
  const pages = [];
  let count = 0;
  for (let at = first; ;) {
    const query = { writer, limit: String(exportPage) };
    if (at > 0) query[from] = String(at);
    const text = await askText(`audit/${what}`, { query });
    if (text) pages.push(text);
    count += lines(text);
    told(count);
    if (lines(text) < exportPage) return pages;
    const last = JSON.parse(text.slice(text.lastIndexOf("\n", text.length - 2) + 1)).seq;
    at = from === "from" ? last + 1 : last;
  }
}

async function exportShown() {
  const parts = [];
  let cursor = "";
  do {
    const page = await ask("audit", { query: { ...auditFilter(), limit: String(exportPage), cursor } });
    for (const r of page.rows) parts.push(`${JSON.stringify(r)}\n`);
    say(`${parts.length} rows so far.`);
    cursor = page.next;
  } while (cursor);
  save(parts, "octroi-audit-part.jsonl");
  return `${counted(parts.length, "row")}.`;
}

function save(parts, name) {
  const address = URL.createObjectURL(new Blob(parts, { type: "application/jsonl" }));
  const link = el("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

// --- Going round --------------------------------------------------------------------------------

const views = {
  overview: showOverview,
  keys: showKeys,
  approvals: showApprovals,
  policies: showPolicies,
  paywall: showPaywall,
  audit: showAudit,
};
let current = "overview";
const heading = () => byId(`${token ? current : "login"}-title`);

let timer = 0;
let running = null; // the turn that is under way
let failures = 0;

/** Asks for what is shown, now, and then again and again. */
async function poll() {
  clearTimeout(timer);
  running?.abort();
  running = null;
  if (!token || document.hidden) return;
  const turn = new AbortController();
  running = turn;
  try {
    await Promise.all([
      views[current](turn.signal),
      current === "overview" ? null : showReady(turn.signal),
      has.vault ? countWaiting(turn.signal) : null,
    ]);
    if (failures) complain("");
    failures = 0;
  } catch (error) {
    if (turn !== running || refused(error)) return;
    ++failures;
    turn.abort(); // what else it asked for
    complain(`What is shown is not of now: ${error.message}.`);
  }
  if (turn !== running) return;
  running = null;
  timer = setTimeout(poll, Math.min(pollEvery * 2 ** failures, longestPause));
}

function go(view) {
  const item = byId("nav").querySelector(`[data-view="${view}"]`);
  current = view in views && item && !item.hidden ? view : "overview";
  for (const name of Object.keys(views)) byId(`view-${name}`).hidden = !token || name !== current;
  byId("view-login").hidden = Boolean(token);
  for (const entry of byId("nav").querySelectorAll("li")) {
    const link = entry.querySelector("a");
    if (entry.dataset.view === current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

const hash = () => location.hash.slice(1) || "overview";

// --- The token ----------------------------------------------------------------------------------

function forget(why) {
  token = "";
  sessionStorage.removeItem(tokenName);
  clearTimeout(timer);
  running?.abort();
  running = null;
  for (const place of ["caps", "revenue", "server", "session-totals", "keys", "approvals", "policies", "services", "sessions", "audit"]) {
    byId(place).replaceChildren();
  }
  keys = [];
  usage.clear();
  sessionsBefore = [];
  audit = { filter: "", rows: [], next: null };
  document.title = "octroi";
  for (const place of ["nav", "forget", "ready", "waiting"]) byId(place).hidden = true;
  go("overview");
  complain(why.problem ?? "");
  say(why.status ?? "");
  heading().focus();
}

/** Whether the token does not open any more, which is then said. */
function refused(error) {
  if (error.status !== 401 || !token) return error.status === 401;
  forget({ problem: "The token is refused: it is wrong, or was changed." });
  return true;
}

/** Finds out what this server has, and shows it. */
async function open(text, keep) {
  token = text;
  const info = await ask("info");
  const [waiting, services, rows] = await Promise.all([
    askIfThere("approvals", { query: { state: "pending" } }),
    askIfThere("services"),
    askIfThere("audit", { query: { limit: "1" } }),
  ]);
  has = { vault: waiting !== null, paywall: info.door !== "vault", services: services !== null, audit: rows !== null };
  if (keep) sessionStorage.setItem(tokenName, text);
  const there = { overview: true, keys: has.vault, approvals: has.vault, policies: has.vault, paywall: has.paywall, audit: has.audit };
  for (const item of byId("nav").querySelectorAll("li")) item.hidden = !there[item.dataset.view];
  byId("overview-vault").hidden = !has.vault;
  byId("overview-paywall").hidden = !has.paywall;
  byId("nav").hidden = byId("forget").hidden = false;
  complain("");
  say("");
  go(hash());
  heading().focus();
  await poll();
}

async function tryToOpen(text, keep) {
  // Headers have no other characters, and a browser would only say that something is wrong.
  if (!/^[\x21-\x7e]+$/.test(text)) {
    complain("A token has letters, digits and signs only, and no blanks.");
    return;
  }
  try {
    await open(text, keep);
  } catch (error) {
    const wrong = error.status === 401;
    forget({ problem: wrong ? "The token is refused: it is not the one of admin.auth." : `${error.message}.` });
    if (keep && !wrong) sessionStorage.setItem(tokenName, text); // nothing was said against it
    byId("token").focus();
  }
}

// --- What people do -----------------------------------------------------------------------------

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = byId("token");
  const text = field.value.trim();
  field.value = "";
  await tryToOpen(text, byId("keep").checked);
});
byId("forget").addEventListener("click", () => forget({ status: "The token is forgotten." }));
byId("confirm-yes").addEventListener("click", () => byId("confirm").close("yes"));
byId("confirm-no").addEventListener("click", () => byId("confirm").close("no"));

for (const form of document.querySelectorAll("form.filters")) {
  form.addEventListener("submit", (event) => event.preventDefault());
}
byId("keys-filter").addEventListener("input", () => {
  keysShown = keysAtOnce;
  drawKeys();
});
byId("keys-more").addEventListener("click", () => {
  keysShown += keysAtOnce;
  drawKeys();
});
byId("approvals-state").addEventListener("change", poll);
let typed = 0;
byId("audit-filters").addEventListener("input", () => {
  clearTimeout(typed); // one question for a word, not one for each letter
  typed = setTimeout(poll, 250);
});
byId("audit-more").addEventListener("click", (e) => act(e.currentTarget, showOlder));
byId("export-all").addEventListener("click", (e) => act(e.currentTarget, exportAll));
byId("export-shown").addEventListener("click", (e) => act(e.currentTarget, exportShown));
byId("sessions-more").addEventListener("click", (e) => {
  sessionsBefore.push(e.currentTarget.dataset.before);
  poll();
});
window.addEventListener("hashchange", () => {
  if (!token) return;
  complain("");
  say("");
  go(hash());
  heading().focus();
  poll();
});
document.addEventListener("visibilitychange", poll);

const kept = sessionStorage.getItem(tokenName);
if (kept) await tryToOpen(kept, true);
