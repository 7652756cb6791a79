"use strict";
const main = document.querySelector("main"), drop = document.getElementById("drop");
const files = document.getElementById("files"), status = document.getElementById("status");
const results = document.getElementById("results");

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function show(file, result) {
  const item = document.createElement("li"), picture = document.createElement("img");
  picture.src = URL.createObjectURL(file);
  picture.alt = `The image ${file.name}`;
  picture.onload = picture.onerror = () => URL.revokeObjectURL(picture.src);
  item.append(picture);
  if (result.error === undefined) {
    const text = element("p", "text", result.text || "(nothing read)");
    text.lang = main.dataset.lang;
    item.append(text, element("p", "note", `${file.name}: ${Math.round(100 * result.score)} % sure`));
  } else {
    item.append(element("p", "wrong", `${file.name}: ${result.error}`));
  }
  results.append(item);
}

async function read(chosen) {
  if (!chosen.length) return;
  const size = chosen.reduce((sum, file) => sum + file.size, 0);
  if (chosen.length > main.dataset.most || size > main.dataset.bytes) {
    status.textContent = `Too much at once: ${main.dataset.most} images and ${main.dataset.bytes >> 20} MiB are allowed.`;
    return;
  }
  status.textContent = "Reading ...";
  const form = new FormData();
  chosen.forEach(file => form.append("image", file));
  try {
    const response = await fetch("/v1/recognize", {method: "POST", body: form});
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    results.replaceChildren();
    answer.results.forEach(result => show(chosen[result.index], result));
    status.textContent = `${answer.results.length} image${answer.results.length > 1 ? "s" : ""} read.`;
  } catch (error) {
    status.textContent = `Not read: ${error.message}`;
  }
}

files.addEventListener("change", () => { read([...files.files]); files.value = ""; });
document.addEventListener("paste", event => read([...event.clipboardData.files]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, event => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop") read([...event.dataTransfer.files]);
  });
}
