// Markdown as elements.
//
// A text that grows is shown again and again: blocks whose source has not changed keep
// their elements, and with them what the reader has selected, scrolled or focused.

import { linesOf, splitBlocks } from "./blocks.js";
import { copyButton, element, fill } from "./dom.js";
import { fillInline } from "./inline.js";

const sources = new WeakMap(); // of a container's blocks

/** Show a text in a container, whose children belong to this function. */
export function showMarkdown(container, text) {
  const lines = linesOf(text);
  const before = sources.get(container) ?? [];
  const after = [];
  let begin = 0;
  for (const block of splitBlocks(lines)) {
    const source = lines.slice(begin, block.end).join("\n");
    const index = after.push(source) - 1;
    begin = block.end;
    if (before[index] === source) continue;
    const made = elementOf(block, 0);
    if (index < before.length) container.children[index].replaceWith(made);
    else container.append(made);
  }
  for (let extra = before.length; extra > after.length; extra -= 1) container.lastChild.remove();
  sources.set(container, after);
}

const MAKERS = {
  code: codeElement,
  formula: (block) => element("p", { class: "formula" }, block.text),
  heading: headingElement,
  list: listElement,
  paragraph: (block) => fillInline(element("p"), block.text),
  quote: (block, depth) => fill(element("blockquote"), elementsOf(block.lines, depth + 1)),
  rule: () => element("hr"),
  table: tableElement,
};

function elementOf(block, depth) {
  return MAKERS[block.kind](block, depth);
}

function elementsOf(lines, depth) {
  return splitBlocks(lines, depth).map((block) => elementOf(block, depth));
}

/** The page has a heading of the first level, so those of answers are lower. */
function headingElement(block) {
  const level = Math.min(block.level + 1, 6);
  return fillInline(element(`h${level}`, { class: `level-${block.level}` }), block.text);
}

/** Long lines scroll sideways, for which the keyboard needs something to focus. */
function codeElement(block) {
  const label = block.language ? `Code, ${block.language}` : "Code";
  return element(
    "div",
    { class: "code" },
    element(
      "div",
      { class: "code-head" },
      element("span", {}, block.language),
      copyButton(() => block.text, "Copy code"),
    ),
    element(
      "pre",
      { tabindex: 0, role: "region", "aria-label": label },
      element("code", {}, block.text),
    ),
  );
}

function listElement(block, depth) {
  const isOrdered = block.start !== null;
  const start = isOrdered && block.start !== 1 ? block.start : null;
  const list = element(isOrdered ? "ol" : "ul", { start });
  for (const lines of block.items) list.append(itemElement(lines, block.isLoose, depth + 1));
  return list;
}

/** The paragraphs of a list without blank lines stand close, as text of their items. */
function itemElement(lines, isLoose, depth) {
  const item = element("li");
  for (const block of splitBlocks(tasked(lines), depth)) {
    if (block.kind === "paragraph" && !isLoose) fillInline(item, block.text);
    else item.append(elementOf(block, depth));
  }
  return item;
}

/** Replace the mark of a task, `[ ]` or `[x]`, with a box. */
function tasked([first, ...others]) {
  const box = { "[ ] ": "☐ ", "[x] ": "☑ ", "[X] ": "☑ " }[first.slice(0, 4)];
  return [box ? box + first.slice(4) : first, ...others];
}

function tableElement(block) {
  const row = (cells, name) =>
    fill(
      element("tr"),
      cells.map((text, column) => {
        const scope = name === "th" && "col";
        return fillInline(element(name, { class: block.sides[column], scope }), text);
      }),
    );
  const body = block.rows.map((cells) => row(cells, "td"));
  return element(
    "div",
    { class: "table", tabindex: 0, role: "region", "aria-label": "Table" },
    element(
      "table",
      {},
      element("thead", {}, row(block.head, "th")),
      fill(element("tbody"), body),
    ),
  );
}
