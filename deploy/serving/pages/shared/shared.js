"use strict";

// What every page does: it asks the service, shows the answer or what went wrong, and takes files.

const byId = (id) => document.getElementById(id);
const language = (navigator.languages ?? [navigator.language])
  .map((tag) => tag.slice(0, 2).toLowerCase())
  .find((tag) => tag in TEXTS) ?? "en";
const texts = TEXTS[language];
const percent = new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const signed = new Intl.NumberFormat(language, { signDisplay: "exceptZero", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const RETRY_MS = 500;
const KEY = "sonda-key"; // in the storage of this tab, which ends with it

let model = { labels: {}, max_bytes: Infinity };
let latest = 0; // an answer to what was replaced meanwhile is not shown
let address = "";
let keyGiven = null; // a promise while the page asks for the key

function translate() {
  document.documentElement.lang = language;
  for (const each of document.querySelectorAll("[data-text]")) {
    each.textContent = texts[each.dataset.text];
  }
}

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function say(id, text) {
  byId(id).textContent = text;
  byId(id).hidden = false;
}

// An address for a file, in place of the last one.
function addressOf(file) {
  URL.revokeObjectURL(address);
  address = URL.createObjectURL(file);
  return address;
}

function nameOf(word) {
  // Folders of classes are often numbered: 0_normal.
  return model.labels[language]?.[word] ?? String(word).replace(/^\d+_/, "").replaceAll("_", " ");
}

function showModel({ name, version, run_id }) {
  byId("model").textContent = texts.model(name, version);
  byId("model").title = run_id;
}

function showPromotion({ how, because, evidence = {} }) {
  const said = texts[`promoted_${how}`];
  const points = (share) => signed.format(100 * share);
  byId("promotion").textContent = typeof said === "function" ? said({ because, points, ...evidence }) : said;
}

// Shows the form for the key, and waits until it is filled in. It is kept for this tab only.
function askKey(wrong) {
  const input = element("input", { id: "key", type: "password", required: true, pattern: "[!-~]+", autocomplete: "off" });
  const form = element("form", { id: "key-form", className: "notice" },
    element("label", { htmlFor: "key", textContent: texts.key }), " ", input, " ",
    element("button", { textContent: texts.keySend }),
    element("p", { className: "small", role: "status", textContent: wrong ? texts.keyWrong : texts.keyHelp }));
  document.querySelector("main").before(form);
  input.focus();
  return new Promise((resolve) => form.addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, input.value);
    form.remove();
    resolve();
  }));
}

// `fetch` with the key, if there is one; the page asks for it when the service does.
async function fetchWithKey(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = key ? { ...options.headers, Authorization: `Bearer ${key}` } : options.headers;
  const response = await fetch(path, { ...options, headers });
  if (response.status !== 401) return response;
  if (key === sessionStorage.getItem(KEY)) { // else there is another one meanwhile
    keyGiven ??= askKey(Boolean(key)).finally(() => { keyGiven = null; });
    await keyGiven;
  }
  return fetchWithKey(path, options);
}

// A link cannot carry the key: what it leads to is fetched, and shown in a tab of its own.
async function openWithKey(event) {
  if (!sessionStorage.getItem(KEY)) return;
  event.preventDefault();
  const shown = open("", "_blank");
  const response = await fetchWithKey(event.target.href);
  const text = await response.text();
  if (response.headers.get("Content-Type").startsWith("text/html")) shown.document.write(text);
  else shown.document.body.append(element("pre", { textContent: text }));
}

function openLinksWithKey() {
  for (const link of document.querySelectorAll("footer a")) link.addEventListener("click", openWithKey);
}

// Asks what the model is, again and again until the service runs and the answer is complete.
async function askModel(complete = () => true) {
  const answer = await fetchWithKey("model")
    .then((response) => (response.ok ? response.json() : null))
    .catch(() => null);
  if (!answer || !complete(answer)) {
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    return askModel(complete);
  }
  model = answer;
  const { title, notice } = model.texts[language] ?? model.texts.en;
  document.title = title;
  byId("title").textContent = title;
  byId("about").textContent = notice;
  showModel(model);
  showPromotion(model.promotion);
  byId("card").hidden = !model.card;
}

function clear() {
  latest += 1;
  for (const each of document.querySelectorAll("[data-answer]")) each.hidden = true;
  byId("bars").replaceChildren();
  byId("result").setAttribute("aria-busy", "false");
}

function showError(code, detail = "") {
  const text = texts[`error_${code}`] ?? texts.error_other;
  const facts = { mb: whole.format(model.max_bytes / 2 ** 20), rows: whole.format(model.max_rows), detail };
  say("error", typeof text === "function" ? text(facts) : text);
  byId("error").title = detail;
  say("state", texts.failed);
}

function bar(label, probability, best) {
  const fill = element("div", { className: "fill" });
  fill.style.width = `${100 * probability}%`;
  const track = element("div", { className: "track" }, fill);
  track.setAttribute("aria-hidden", "true"); // the figure above says it
  const words = [nameOf(label), percent.format(probability)]
    .map((text) => element("span", { textContent: text }));
  return element("li", { className: best ? "best" : "" }, element("div", { className: "name" }, ...words), track);
}

function showOne(prediction) {
  const sorted = Object.entries(prediction.probabilities).sort((a, b) => b[1] - a[1]);
  say("label", nameOf(prediction.label));
  byId("bars").replaceChildren(...sorted.map(([label, p]) => bar(label, p, label === prediction.label)));
}

// `show` gets the predictions.
async function ask(path, content, show) {
  clear();
  const mine = latest;
  say("state", texts.working);
  byId("result").setAttribute("aria-busy", "true");
  const started = performance.now();
  try {
    const response = await fetchWithKey(path, { method: "POST", ...content });
    const answer = await response.json();
    if (mine !== latest) return;
    if (!response.ok) return showError(answer.error, answer.message);
    byId("state").hidden = true;
    showModel(answer.model);
    say("latency", texts.latency(whole.format(performance.now() - started), whole.format(answer.milliseconds)));
    show(answer.predictions);
  } catch (error) {
    if (mine === latest) showError("network", String(error));
  } finally {
    if (mine === latest) byId("result").setAttribute("aria-busy", "false");
  }
}

// The same for a file, as the field `name` of a form.
async function askFile(path, name, file, show) {
  if (file.size > model.max_bytes) {
    clear();
    return showError("too_large");
  }
  const body = new FormData();
  body.append(name, file);
  return ask(path, { body }, show);
}

// Calls `take` with a file that is chosen or dropped.
function takeFiles(take) {
  const drop = byId("drop");
  const takeFirst = ([file]) => {
    if (file) take(file);
  };
  byId("file").addEventListener("change", (event) => {
    takeFirst(event.target.files);
    event.target.value = ""; // the same file can be chosen again
  });
  // On the whole page: a file dropped beside the field must not replace the page.
  addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  addEventListener("dragleave", () => drop.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    takeFirst(event.dataTransfer.files);
  });
}
