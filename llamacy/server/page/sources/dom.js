// Making and finding elements. All text of models and people passes through here as
// text nodes and attributes; nothing in the page turns a string into HTML.

export const byId = (id) => document.getElementById(id);

/** Make an element. Keys such as `onclick` are listeners; true is an empty attribute. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  return fill(made, children);
}

/** Append strings and nodes, one text node for strings that follow each other. */
export function fill(parent, children) {
  let strings = [];
  const flush = () => {
    if (strings.length) parent.append(strings.join(""));
    strings = [];
  };
  for (const child of children) {
    if (typeof child === "string") strings.push(child);
    else {
      flush();
      parent.append(child);
    }
  }
  flush();
  return parent;
}

/** Make a button that copies what `text()` returns, and says so for a moment. */
export function copyButton(text, label = "Copy") {
  const button = element("button", { type: "button", class: "quiet" }, label);
  button.addEventListener("click", async () => {
    button.textContent = (await copied(text())) ? "Copied" : "Not copied";
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}

/** Copy a text. Browsers have `clipboard` only at https and at localhost. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea", { readonly: true, class: "visually-hidden" });
    area.value = text;
    const parent = document.activeElement?.closest("dialog") ?? document.body;
    parent.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** Let the browser save a text as a file. */
export function saveFile(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
