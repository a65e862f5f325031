"use strict";

let predictions = []; // one, or one for each frame of a DICOM file

// Shows what was chosen; answers whether the browser can.
async function showFile(file) {
  const preview = byId("preview");
  preview.alt = texts.preview;
  preview.src = addressOf(file);
  byId("caption").textContent = file.name;
  byId("figure").hidden = false;
  const can = await preview.decode().then(() => true, () => false);
  preview.hidden = !can;
  return can;
}

// Without a prediction, the reason stands where the class would stand; the bars remain.
function showVerdict({ abstained, reason, set }) {
  byId("label").hidden = abstained === true;
  byId("abstained").hidden = !abstained;
  byId("abstained").textContent = abstained ? texts[`abstained_${reason}`]((set ?? []).map(nameOf)) : "";
  byId("never").hidden = abstained !== null;
}

function showFrame(number) {
  const { [number]: prediction } = predictions;
  showOne(prediction);
  showVerdict(prediction);
  const preview = byId("preview");
  if (prediction.preview) { // what the model saw, where the browser cannot show the file
    preview.src = `data:image/png;base64,${prediction.preview}`;
    preview.hidden = false;
  }
  const overlay = byId("overlay");
  overlay.src = `data:image/png;base64,${prediction.overlay}`;
  overlay.alt = texts.overlay;
  overlay.hidden = byId("opacity-row").hidden = false;
  byId("frame-value").textContent = `${number + 1} / ${predictions.length}`;
}

function showAnswer(file, answered) {
  predictions = answered;
  byId("frame").max = predictions.length;
  byId("frame").value = 1;
  byId("frame-row").hidden = predictions.length === 1;
  byId("caption").textContent = predictions[0].preview ? `${file.name} · ${texts.noPreview}` : file.name;
  showFrame(0);
  askDrift();
}

// One line if there is an alarm; a service may keep the route closed.
async function askDrift() {
  const found = await fetchWithKey("drift")
    .then((response) => (response.ok ? response.json() : {}))
    .catch(() => ({}));
  byId("drift").hidden = !found.alarm;
  byId("drift").textContent = found.alarm ? texts.drift(whole.format(found.window)) : "";
}

async function classify(file) {
  clear();
  const mine = latest; // another file may be chosen while this one is looked at
  const can = await showFile(file);
  if (mine !== latest) return;
  askFile(`predict?explain=true&preview=${!can}`, "image", file, (answered) => showAnswer(file, answered));
}

function listen() {
  takeFiles(classify);
  addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) classify(file);
  });
  byId("frame").addEventListener("input", (event) => showFrame(event.target.value - 1));
  byId("opacity").addEventListener("input", (event) => {
    byId("overlay").style.opacity = event.target.value / 100;
    byId("opacity-value").textContent = `${event.target.value} %`;
  });
}

translate();
listen();
openLinksWithKey();
askModel().then(askDrift);
