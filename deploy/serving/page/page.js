"use strict";

function showPreview(file) {
  const preview = byId("preview");
  preview.onerror = () => {
    preview.hidden = true;
    byId("caption").textContent = `${file.name} · ${texts.noPreview}`;
  };
  preview.onload = () => { preview.hidden = false; };
  preview.alt = texts.preview;
  preview.src = addressOf(file);
  byId("caption").textContent = file.name;
  byId("figure").hidden = false;
}

function showAnswer([prediction]) {
  showOne(prediction);
  const overlay = byId("overlay");
  overlay.src = `data:image/png;base64,${prediction.overlay}`;
  overlay.alt = texts.overlay;
  overlay.hidden = byId("opacity-row").hidden = byId("preview").hidden;
}

function classify(file) {
  showPreview(file);
  askFile("predict?explain=true", "image", file, showAnswer);
}

function listen() {
  takeFiles(classify);
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
