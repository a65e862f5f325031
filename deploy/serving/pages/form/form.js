"use strict";

const plain = new Intl.NumberFormat(language, { maximumFractionDigits: 6, useGrouping: false });
const ROWS_SHOWN = 200;

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

function showFields() {
  const properties = Object.entries(model.schema.properties);
  byId("fields").replaceChildren(...properties.map(([name, schema]) => field(name, schema)));
  byId("columns").textContent = Object.keys(model.schema.properties).join(", ");
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
  say("shown", texts.shown(whole.format(ROWS_SHOWN), whole.format(predictions.length)));
  byId("shown").hidden = predictions.length <= ROWS_SHOWN;
  const lines = [["row", "label", ...classes],
    ...predictions.map((each, index) => [index + 1, each.label, ...classes.map((name) => each.probabilities[name])])];
  byId("save").href = addressOf(new Blob([lines.map((line) => line.join(",")).join("\n") + "\n"], { type: "text/csv" }));
  byId("save").hidden = false;
}

// On a phone the answer is below the form.
function intoView() {
  byId("result").scrollIntoView({ block: "nearest" });
}

function askForm(event) {
  event.preventDefault();
  const controls = [...document.querySelectorAll("[data-name]")];
  const wrong = controls.filter((control) => !check(control));
  if (wrong.length) return wrong[0].focus();
  if (!controls.length) return;
  const body = JSON.stringify({ records: [record()] });
  ask("predict", { body, headers: { "Content-Type": "application/json" } }, ([one]) => showOne(one)).then(intoView);
}

translate();
openLinksWithKey();
byId("form").addEventListener("submit", askForm);
takeFiles((file) => askFile("predict", "file", file, showMany).then(intoView));
askModel((answer) => answer.schema.properties).then(showFields);
