"use strict";

const byId = (id) => document.getElementById(id);
const language = (navigator.languages ?? [navigator.language])
  .map((tag) => tag.slice(0, 2).toLowerCase())
  .find((tag) => tag in TEXTS) ?? "en";
const texts = TEXTS[language];
const percent = new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const plain = new Intl.NumberFormat(language, { maximumFractionDigits: 6, useGrouping: false });
const ROWS_SHOWN = 200;
const RETRY_MS = 500;

let model = { labels: {}, schema: {}, max_bytes: Infinity, max_rows: Infinity };
let latest = 0; // an answer to what was replaced meanwhile is not shown
let address = null;

function translate() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = texts[element.dataset.text];
  }
}

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function nameOf(word) {
  return model.labels[language]?.[word] ?? String(word).replaceAll("_", " ");
}

function showModel({ name, version, run_id }) {
  byId("model").textContent = texts.model(name, version);
  byId("model").title = run_id;
}

function kinds(schema) {
  return [schema.type].flat();
}

// What is wrong with the text of a field, or "".
function fault(schema, text) {
  if (text === "") return kinds(schema).includes("null") ? "" : texts.required;
  if (schema.enum || kinds(schema).includes("string")) return "";
  const value = Number(text);
  if ("minimum" in schema && !(value >= schema.minimum && value <= schema.maximum)) {
    return texts.range(plain.format(schema.minimum), plain.format(schema.maximum));
  }
  if (Number.isNaN(value)) return texts.number;
  return kinds(schema)[0] === "integer" && !Number.isInteger(value) ? texts.whole : "";
}

// One labelled control of the form, from one property of the schema.
function field(name, schema) {
  const id = `field-${name}`;
  const known = model.labels[language] ?? {};
  const described = [known[`${name}_help`] ?? schema.description ?? ""];
  if (kinds(schema).includes("null")) described.push(`(${texts.optional})`);
  let control;
  if (schema.enum) {
    const options = schema.enum.filter((value) => value !== null)
      .map((value) => element("option", { value: JSON.stringify(value), textContent: nameOf(value) }));
    control = element("select", { id }, element("option", { value: "", textContent: texts.pick }), ...options);
  } else {
    const numeric = !kinds(schema).includes("string");
    control = element("input", { id, type: "text", inputMode: numeric ? "decimal" : "text", autocomplete: "off" });
  }
  control.dataset.name = name;
  control.setAttribute("aria-describedby", `${id}-help ${id}-wrong`);
  // Not when the field is left: a message that goes then moves the button away from under a click.
  control.addEventListener("input", () => {
    if (control.getAttribute("aria-invalid") === "true") check(control);
  });
  return element("div", { className: "field" },
    element("label", { htmlFor: id, textContent: known[name] ?? schema.title ?? nameOf(name) }),
    control,
    element("p", { id: `${id}-help`, className: "small", textContent: described.join(" ") }),
    element("p", { id: `${id}-wrong`, className: "wrong", hidden: true }));
}

// A decimal comma is read as a point.
function textOf(control) {
  return control.tagName === "SELECT" ? control.value : control.value.trim().replace(",", ".");
}

function check(control) {
  const wrong = fault(model.schema.properties[control.dataset.name], textOf(control));
  const place = byId(`${control.id}-wrong`);
  place.textContent = wrong;
  place.hidden = !wrong;
  control.setAttribute("aria-invalid", String(Boolean(wrong)));
  return !wrong;
}

function record() {
  const values = {};
  for (const control of document.querySelectorAll("[data-name]")) {
    const schema = model.schema.properties[control.dataset.name];
    const text = textOf(control);
    if (text === "") values[control.dataset.name] = null;
    else if (schema.enum) values[control.dataset.name] = JSON.parse(text);
    else values[control.dataset.name] = kinds(schema).includes("string") ? text : Number(text);
  }
  return values;
}

async function askModel() {
  try {
    const response = await fetch("model");
    const answer = response.ok ? await response.json() : null;
    if (answer?.schema.properties) {
      model = answer;
      showModel(model);
      const { title, notice } = model.texts[language] ?? model.texts.en;
      document.title = title;
      byId("title").textContent = title;
      byId("about").textContent = notice;
      const properties = Object.entries(model.schema.properties);
      byId("fields").replaceChildren(...properties.map(([name, schema]) => field(name, schema)));
      byId("columns").textContent = Object.keys(model.schema.properties).join(", ");
      return;
    }
  } catch {
    // Not running yet: asked again below.
  }
  setTimeout(askModel, RETRY_MS);
}

function showError(code, detail) {
  const text = texts[`error_${code}`] ?? texts.error_other;
  const limit = { mb: whole.format(model.max_bytes / 2 ** 20), rows: whole.format(model.max_rows) };
  const said = typeof text === "function" ? text(limit) : text;
  // Which row, column and value it is stands in the service's own sentence.
  byId("error").textContent = detail ? `${said} ${detail}` : said;
  byId("error").hidden = false;
  byId("state").textContent = texts.failed;
  byId("state").hidden = false;
}

function clear() {
  for (const id of ["error", "label", "latency", "answers", "shown", "save"]) byId(id).hidden = true;
  byId("bars").replaceChildren();
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
  byId("label").textContent = nameOf(prediction.label);
  byId("label").hidden = false;
  byId("bars").replaceChildren(...sorted.map(([label, p]) => bar(label, p, label === prediction.label)));
}

function showMany(predictions) {
  const classes = Object.keys(predictions[0].probabilities);
  const titles = [texts.row, texts.answer, ...classes.map(nameOf)];
  byId("head").replaceChildren(...titles.map((textContent) => element("th", { scope: "col", textContent })));
  byId("body").replaceChildren(...predictions.slice(0, ROWS_SHOWN).map((each, index) => {
    const cells = [whole.format(index + 1), nameOf(each.label), ...classes.map((name) => percent.format(each.probabilities[name]))];
    return element("tr", {}, ...cells.map((textContent) => element("td", { textContent })));
  }));
  byId("answers").hidden = false;
  byId("shown").textContent = texts.shown(whole.format(ROWS_SHOWN), whole.format(predictions.length));
  byId("shown").hidden = predictions.length <= ROWS_SHOWN;
  const lines = [["row", "label", ...classes],
    ...predictions.map((each, index) => [index + 1, each.label, ...classes.map((name) => each.probabilities[name])])];
  if (address) URL.revokeObjectURL(address);
  address = URL.createObjectURL(new Blob([lines.map((line) => line.join(",")).join("\n") + "\n"], { type: "text/csv" }));
  byId("save").href = address;
  byId("save").hidden = false;
}

async function ask(body, headers, show) {
  const mine = ++latest;
  clear();
  byId("state").textContent = texts.working;
  byId("state").hidden = false;
  byId("result").setAttribute("aria-busy", "true");
  const started = performance.now();
  try {
    const response = await fetch("predict", { method: "POST", body, headers });
    const answer = await response.json();
    if (mine !== latest) return;
    if (!response.ok) return showError(answer.error, answer.message);
    byId("state").hidden = true;
    show(answer.predictions);
    showModel(answer.model);
    byId("latency").textContent = texts.latency(whole.format(performance.now() - started), whole.format(answer.milliseconds));
    byId("latency").hidden = false;
    byId("result").scrollIntoView({ block: "nearest" }); // below the form on a phone
  } catch (error) {
    if (mine === latest) showError("network", "");
  } finally {
    if (mine === latest) byId("result").setAttribute("aria-busy", "false");
  }
}

function askFile(file) {
  if (file.size > model.max_bytes) {
    clear();
    return showError("too_large", "");
  }
  const form = new FormData();
  form.append("file", file);
  return ask(form, {}, showMany);
}

function listen() {
  const drop = byId("drop");
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const controls = [...document.querySelectorAll("[data-name]")];
    const wrong = controls.filter((control) => !check(control));
    if (wrong.length) return wrong[0].focus();
    if (controls.length) {
      ask(JSON.stringify({ records: [record()] }), { "Content-Type": "application/json" }, ([one]) => showOne(one));
    }
  });
  byId("file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) askFile(file);
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
    const [file] = event.dataTransfer.files;
    if (file) askFile(file);
  });
}

translate();
listen();
askModel();
