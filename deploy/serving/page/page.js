"use strict";

const byId = (id) => document.getElementById(id);
const language = (navigator.languages ?? [navigator.language])
  .map((tag) => tag.slice(0, 2).toLowerCase())
  .find((tag) => tag in TEXTS) ?? "en";
const texts = TEXTS[language];
const percent = new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });

let labels = {};
let maxBytes = Infinity;
let latest = 0; // an answer to an image that was replaced meanwhile is not shown
let address = null;

function translate() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = texts[element.dataset.text];
  }
}

function nameOf(label) {
  return labels[label] ?? label.replace(/^\d+_/, "").replaceAll("_", " ");
}

function showModel(model) {
  byId("model").textContent = texts.model(model.name, model.version);
  byId("model").title = model.run_id;
}

async function askModel() {
  try {
    const response = await fetch("model");
    if (!response.ok) return;
    const model = await response.json();
    labels = model.labels[language] ?? {};
    maxBytes = model.max_bytes;
    const { title, notice } = model.texts[language] ?? model.texts.en;
    document.title = title;
    byId("title").textContent = title;
    byId("about").textContent = notice;
    showModel(model);
  } catch {
    // Not running yet: the first image will say so.
  }
}

function showError(code, detail) {
  const text = texts[`error_${code}`] ?? texts.error_other;
  const shown = typeof text === "function" ? text(whole.format(maxBytes / 2 ** 20)) : text;
  byId("error").textContent = shown;
  byId("error").title = detail ?? "";
  byId("error").hidden = false;
  byId("state").textContent = texts.failed;
  byId("state").hidden = false;
}

function clear() {
  for (const id of ["error", "label", "latency", "overlay", "opacity-row"]) byId(id).hidden = true;
  byId("bars").replaceChildren();
}

function showPreview(file) {
  if (address) URL.revokeObjectURL(address);
  address = URL.createObjectURL(file);
  const preview = byId("preview");
  preview.onerror = () => {
    preview.hidden = true;
    byId("caption").textContent = `${file.name} · ${texts.noPreview}`;
  };
  preview.onload = () => { preview.hidden = false; };
  preview.alt = texts.preview;
  preview.src = address;
  byId("caption").textContent = file.name;
  byId("figure").hidden = false;
}

function bar(label, probability, best) {
  const row = document.createElement("li");
  const name = document.createElement("div");
  const track = document.createElement("div");
  const fill = document.createElement("div");
  row.classList.toggle("best", best);
  name.className = "name";
  for (const text of [nameOf(label), percent.format(probability)]) {
    name.append(Object.assign(document.createElement("span"), { textContent: text }));
  }
  track.className = "track";
  track.setAttribute("aria-hidden", "true"); // the figure above says it
  fill.className = "fill";
  fill.style.width = `${100 * probability}%`;
  track.append(fill);
  row.append(name, track);
  return row;
}

function showAnswer(answer, total) {
  const prediction = answer.predictions[0];
  const sorted = Object.entries(prediction.probabilities).sort((a, b) => b[1] - a[1]);
  byId("state").hidden = true;
  byId("label").textContent = nameOf(prediction.label);
  byId("label").hidden = false;
  byId("bars").replaceChildren(...sorted.map(([label, p]) => bar(label, p, label === prediction.label)));
  byId("latency").textContent = texts.latency(whole.format(total), whole.format(answer.milliseconds));
  byId("latency").hidden = false;
  showModel(answer.model);
  const preview = byId("preview");
  const overlay = byId("overlay");
  overlay.src = `data:image/png;base64,${prediction.overlay}`;
  overlay.alt = texts.overlay;
  if (!preview.hidden) {
    overlay.hidden = false;
    byId("opacity-row").hidden = false;
  }
}

async function classify(file) {
  const mine = ++latest;
  clear();
  showPreview(file);
  if (file.size > maxBytes) return showError("too_large");
  byId("state").textContent = texts.working;
  byId("state").hidden = false;
  byId("result").setAttribute("aria-busy", "true");
  const form = new FormData();
  form.append("image", file);
  const started = performance.now();
  try {
    const response = await fetch("predict?explain=true", { method: "POST", body: form });
    const answer = await response.json();
    if (mine !== latest) return;
    if (response.ok) showAnswer(answer, performance.now() - started);
    else showError(answer.error, answer.message);
  } catch (error) {
    if (mine === latest) showError("network", String(error));
  } finally {
    if (mine === latest) byId("result").setAttribute("aria-busy", "false");
  }
}

function listen() {
  const drop = byId("drop");
  byId("file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) classify(file);
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
    if (file) classify(file);
  });
  addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) classify(file);
  });
  byId("opacity").addEventListener("input", (event) => {
    byId("overlay").style.opacity = event.target.value / 100;
    byId("opacity-value").textContent = `${event.target.value} %`;
  });
}

translate();
listen();
askModel();
