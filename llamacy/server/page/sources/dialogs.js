// Dialogs: questions with an answer, and the settings.

import { byId, element } from "./dom.js";
import { fetchDefaults, fetchLoaded } from "./server.js";
import { changeSettings, keepChat, modelInUse, state } from "./state.js";

const SAMPLING = [
  { name: "temperature", label: "Temperature", min: 0, max: 2, step: 0.05 },
  { name: "top_p", label: "Top p", min: 0, max: 1, step: 0.01 },
  { name: "top_k", label: "Top k", min: 0, step: 1 },
  { name: "min_p", label: "Min p", min: 0, max: 1, step: 0.01 },
  { name: "repeat_penalty", label: "Repeat penalty", min: 0.01, max: 2, step: 0.01 },
  { name: "max_tokens", label: "Longest answer", min: 1, step: 1 },
  { name: "seed", label: "Seed", step: 1 },
];

/**
 * Ask a question, and return a promise of what was entered; null if it was cancelled.
 * Without a `label` there is nothing to enter, and the promise is of an empty text.
 */
export function ask({ title, text = "", label = "", value = "", type = "text", ok }) {
  const dialog = byId("question");
  const field = byId("question-field");
  byId("question-title").textContent = title;
  byId("question-text").textContent = text;
  byId("question-label").textContent = label;
  byId("question-ok").textContent = ok;
  Object.assign(field, { value, type, hidden: !label });
  byId("question-label").hidden = !label;
  dialog.returnValue = "";
  dialog.showModal();
  if (label) field.select();
  return new Promise((resolve) => {
    const done = () => resolve(dialog.returnValue === "ok" ? field.value : null);
    dialog.addEventListener("close", done, { once: true });
  });
}

/** Give the dialogs their behaviour, once. */
export function watchDialogs() {
  byId("question-ok").value = "ok";
  byId("question-cancel").addEventListener("click", () => byId("question").close(""));
  byId("open-settings").addEventListener("click", openSettings);
  byId("system").addEventListener("change", (event) => changeSystem(event.target.value));
  byId("thinks").addEventListener("change", (event) => {
    changeSettings({ thinks: event.target.checked });
  });
  byId("sampling-fields").append(...SAMPLING.map(samplingField));
  byId("reset-sampling").addEventListener("click", () => {
    changeSettings({ sampling: {} });
    showSampling();
  });
}

function samplingField({ name, label, min, max, step }) {
  const id = `sampling-${name}`;
  const range = { min, max, step, type: "number", inputmode: "decimal" };
  const field = element("input", { id, ...range });
  field.addEventListener("change", () => changeSampling(name, field));
  return element("div", {}, element("label", { for: id }, label), field);
}

/** Keep a number that is in its range; the browser marks one that is not. */
function changeSampling(name, field) {
  if (!field.reportValidity()) return;
  const { [name]: _, ...others } = state.settings.sampling;
  const chosen = field.value === "" ? {} : { [name]: field.valueAsNumber };
  changeSettings({ sampling: { ...others, ...chosen } });
}

function openSettings() {
  byId("system").value = state.current.system ?? "";
  byId("thinks").checked = state.settings.thinks;
  showSampling();
  byId("settings").showModal();
  showDefaults();
}

function showSampling() {
  for (const { name } of SAMPLING) {
    byId(`sampling-${name}`).value = state.settings.sampling[name] ?? "";
  }
}

/** Show the model's own values in the empty fields, unless that would load the model. */
async function showDefaults() {
  const model = modelInUse();
  try {
    if (!(await fetchLoaded()).includes(model)) return;
    const { params, n_ctx: length } = await fetchDefaults(model);
    for (const { name } of SAMPLING) {
      const value = name === "max_tokens" ? length : params[name];
      byId(`sampling-${name}`).placeholder = value == null ? "" : shortNumber(value);
    }
  } catch {
    // the fields work without
  }
}

/** Write 0.949999988079071 as 0.95: models' files have 32-bit numbers. */
function shortNumber(value) {
  return String(Number(value.toPrecision(6)));
}

function changeSystem(text) {
  state.current.system = text.trim();
  changeSettings({ system: state.current.system });
  keepChat(state.current);
}
