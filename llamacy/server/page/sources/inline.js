// Markdown within a paragraph: emphasis, code, links, line breaks.
//
// The text is read once, from left to right. Marks that may open something wait in
// `openers`, at most MAX_OPENERS, so that a closing mark looks at few of them; a search
// for a closing mark that found nothing is not repeated. Both keep hostile texts, such
// as a hundred thousand brackets, linear in time, and the nesting of elements shallow.

import { element, fill } from "./dom.js";

const MAX_OPENERS = 16;

const SPECIAL = /[\\`*_~[\]!<&$\n]|https?:\/\//g;
const TARGET =
  /\(\s*(?:<([^<>\n]*)>|([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*))(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/y;
const BARE_ADDRESS = /https?:\/\/[^\s<>"`[\]]+/y;
const ANGLED_ADDRESS = /<((?:https?:\/\/|mailto:)[^\s<>]+)>/y;
const BREAK = /<br ?\/?>/iy;
const ENTITY = /&(amp|lt|gt|quot|apos|nbsp|#39);/y;
const FORMULA = /\$(?![\s\d$])[^$\n]*[^\s$\\]\$(?!\d)/y;
const ESCAPABLE = /[!-/:-@[-`{-~]/;
const SAFE_SCHEMES = new Set(["http:", "https:", "mailto:"]);
const ENTITIES = {
  amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", "#39": "'",
};

const READERS = {
  "\\": readBackslash,
  "`": readCode,
  "*": readEmphasis,
  _: readEmphasis,
  "~": readStrike,
  "[": (spans) => spans.open("["),
  "]": readLink,
  "!": (spans) => spans.startsWith("![") && spans.open("!["),
  "<": readAngle,
  "&": readEntity,
  $: readInlineFormula,
  "\n": (spans) => spans.add(element("br"), 1),
  h: readBareAddress,
};

/** Append a text with its inline Markdown to an element. */
export function fillInline(parent, text) {
  return fill(parent, new Spans(text).read());
}

/** Return an address that may be followed, or null. Relative ones are refused, too. */
export function safeAddress(text) {
  try {
    const address = new URL(text);
    return SAFE_SCHEMES.has(address.protocol) ? address.href : null;
  } catch {
    return null;
  }
}

/** A text being read: strings and elements so far, and marks that may have opened some. */
class Spans {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.nodes = [];
    this.openers = []; // {mark, index}: the mark is also a string in nodes
    this.absent = new Set(); // closing marks that the rest of the text does not have
    this.codeEnds = null;
  }

  read() {
    while (this.at < this.text.length) {
      SPECIAL.lastIndex = this.at;
      const found = SPECIAL.exec(this.text);
      const next = found ? found.index : this.text.length;
      this.nodes.push(this.text.slice(this.at, next));
      this.at = next;
      if (found && !READERS[found[0][0]](this)) this.add(this.text[next], 1);
    }
    return this.nodes;
  }

  /** Add a string or an element for the next `length` characters. */
  add(node, length) {
    this.nodes.push(node);
    this.at += length;
    return true;
  }

  startsWith(mark) {
    return this.text.startsWith(mark, this.at);
  }

  /** Match a sticky expression here. */
  match(pattern, at = this.at) {
    pattern.lastIndex = at;
    return pattern.exec(this.text);
  }

  /** Return the place of a closing mark at or behind `from`, or -1. */
  find(mark, from) {
    if (this.absent.has(mark)) return -1;
    const place = this.text.indexOf(mark, from);
    if (place < 0) this.absent.add(mark);
    return place;
  }

  /** Add a mark that may open something; so far it is text. */
  open(mark) {
    if (this.openers.length === MAX_OPENERS) this.openers.shift();
    this.openers.push({ mark, index: this.nodes.length });
    return this.add(mark, mark.length);
  }

  /** Return the place in `openers` of the innermost with one of some marks, or -1. */
  opener(...marks) {
    return this.openers.findLastIndex((one) => marks.includes(one.mark));
  }

  /** Make all nodes behind an opener children of an element in its place. */
  wrap(place, parent) {
    const { index } = this.openers[place];
    this.openers.length = place;
    const children = this.nodes.splice(index).slice(1);
    this.nodes.push(fill(parent, children));
  }

  /** Return, for each run of backticks, the place of the next one of its length. */
  codeEnd(begin) {
    if (!this.codeEnds) {
      this.codeEnds = new Map();
      const later = new Map();
      for (const run of [...this.text.matchAll(/`+/g)].reverse()) {
        this.codeEnds.set(run.index, later.get(run[0].length) ?? -1);
        later.set(run[0].length, run.index);
      }
    }
    return this.codeEnds.get(begin) ?? -1;
  }
}

function readBackslash(spans) {
  const next = spans.text[spans.at + 1];
  if (next === "(" || next === "[") {
    const end = spans.find(next === "(" ? "\\)" : "\\]", spans.at + 2);
    return end >= 0 && addVerbatim(spans, end + 2); // LaTeX stays as it is written
  }
  if (next === "\n") return spans.add(element("br"), 2);
  return next !== undefined && ESCAPABLE.test(next) && spans.add(next, 2);
}

function readInlineFormula(spans) {
  if (spans.startsWith("$$")) {
    const end = spans.find("$$", spans.at + 2);
    return end >= 0 && addVerbatim(spans, end + 2);
  }
  const found = spans.match(FORMULA);
  return found && addVerbatim(spans, spans.at + found[0].length);
}

function addVerbatim(spans, end) {
  return spans.add(spans.text.slice(spans.at, end), end - spans.at);
}

function readCode(spans) {
  const { text, at } = spans;
  let inner = at;
  while (text[inner] === "`") inner += 1;
  const end = spans.codeEnd(at);
  if (end < 0) return addVerbatim(spans, inner);
  let code = text.slice(inner, end).replaceAll("\n", " ");
  if (code.startsWith(" ") && code.endsWith(" ") && code.trim()) code = code.slice(1, -1);
  return spans.add(element("code", {}, code), end - at + (inner - at));
}

function readEmphasis(spans) {
  const { text, at } = spans;
  const mark = text[at];
  let end = at;
  while (text[end] === mark) end += 1;
  if (end - at > 3) return addVerbatim(spans, end);
  const { opens, closes } = sides(mark, text[at - 1] ?? " ", text[end] ?? " ");
  while (closes && spans.at < end && closeEmphasis(spans, mark, end - spans.at));
  if (!opens) return addVerbatim(spans, end);
  if ((end - spans.at) % 2) spans.open(mark);
  if (spans.at < end) spans.open(mark + mark);
  return true;
}

/** Say whether a run of marks may open or close; within a word `_` does neither. */
function sides(mark, before, after) {
  const isWord = (character) => mark === "_" && /[\p{L}\p{N}_]/u.test(character);
  return {
    opens: !/\s/.test(after) && !isWord(before),
    closes: !/\s/.test(before) && !isWord(after),
  };
}

/** Close the innermost emphasis; two marks close strong emphasis first, and one none. */
function closeEmphasis(spans, mark, left) {
  const strong = left > 1 ? spans.opener(mark + mark) : -1;
  const weak = spans.opener(mark);
  const isStrong = left === 2 ? strong >= 0 : strong > weak;
  const place = isStrong ? strong : weak;
  if (place < 0) return false;
  spans.wrap(place, element(isStrong ? "strong" : "em"));
  spans.at += isStrong ? 2 : 1;
  return true;
}

function readStrike(spans) {
  if (!spans.startsWith("~~")) return false;
  const place = spans.opener("~~");
  if (place < 0) return spans.open("~~");
  spans.wrap(place, element("del"));
  spans.at += 2;
  return true;
}

function readLink(spans) {
  const place = spans.opener("[", "![");
  if (place < 0) return false;
  const target = spans.match(TARGET, spans.at + 1);
  const address = target && safeAddress(target[1] ?? target[2]);
  if (!address) {
    spans.openers.splice(place, 1);
    return false;
  }
  const isImage = spans.openers[place].mark === "![";
  const link = anchor(address);
  spans.wrap(place, link);
  for (const inner of link.querySelectorAll("a")) inner.replaceWith(...inner.childNodes);
  if (isImage) link.prepend("Image: "); // loading it would tell its server
  spans.openers = spans.openers.filter((one) => !one.mark.includes("["));
  spans.at += 1 + target[0].length;
  return true;
}

function readAngle(spans) {
  const line = spans.match(BREAK);
  if (line) return spans.add(element("br"), line[0].length);
  const found = spans.match(ANGLED_ADDRESS);
  const address = found && safeAddress(found[1]);
  return address && spans.add(anchor(address, found[1]), found[0].length);
}

function readEntity(spans) {
  const found = spans.match(ENTITY);
  return found && spans.add(ENTITIES[found[1]], found[0].length);
}

function readBareAddress(spans) {
  const found = spans.match(BARE_ADDRESS);
  const text = found && withoutPunctuation(found[0]);
  const address = text && safeAddress(text);
  return address && spans.add(anchor(address, text), text.length);
}

/** Cut punctuation of the sentence from the end of an address. */
function withoutPunctuation(text) {
  let extra = 0; // closing parentheses without an opening one
  for (const character of text) extra += { "(": -1, ")": 1 }[character] ?? 0;
  let end = text.length;
  for (; end > 0; end -= 1) {
    const last = text[end - 1];
    if (last === ")" && extra > 0) extra -= 1;
    else if (!".,;:!?'*_~}".includes(last)) break;
  }
  return text.slice(0, end);
}

function anchor(address, ...children) {
  const rel = "noopener noreferrer";
  return element("a", { href: address, rel, target: "_blank" }, ...children);
}
