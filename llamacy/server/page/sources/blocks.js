// Markdown as blocks: splits a text into paragraphs, lists, tables and so on.
//
// Each line is looked at a bounded number of times at each level of nesting, and there
// are at most MAX_DEPTH levels; what is nested deeper is a paragraph.

const MAX_DEPTH = 10;

const FENCE = /^ {0,3}(`{3,}|~{3,})([^]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?: +([^]*))?$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?:( +)([^]*))?$/;
const FORMULA_ENDS = { $$: "$$", "\\[": "\\]" };

/**
 * Split lines into blocks.
 *
 * A block has a `kind`, what its kind needs, and `end`, the number of the line behind it.
 */
export function splitBlocks(lines, depth = 0) {
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (isBlank(lines[at])) {
      at += 1;
      continue;
    }
    const block = blockAt(lines, at, depth) ?? readParagraph(lines, at, depth);
    blocks.push(block);
    at = block.end;
  }
  return blocks;
}

/** Return the lines of a text, with spaces for the tabs that indent them. */
export function linesOf(text) {
  const indent = (spaces) => spaces.replaceAll("\t", "    ");
  return text.split(/\r\n?|\n/).map((line) => line.replace(/^[ \t]+/, indent));
}

/** Return the block that begins at a line, or null if it is text of a paragraph. */
function blockAt(lines, at, depth) {
  if (depth >= MAX_DEPTH) return null;
  return (
    readFence(lines, at) ?? readHeading(lines, at) ?? readRule(lines, at) ??
    readQuote(lines, at) ?? readList(lines, at) ?? readTable(lines, at) ??
    readFormula(lines, at)
  );
}

/** Say whether a line ends the paragraph before it. */
function interrupts(lines, at) {
  const line = lines[at];
  const item = itemOf(line);
  return (
    isBlank(line) || FENCE.test(line) || HEADING.test(line) || QUOTE.test(line) ||
    isRule(line) || isTableHead(lines, at) || formulaEnd(line) !== undefined ||
    (item && item.text !== "" && (item.start === null || item.start === 1))
  );
}

function readParagraph(lines, at, depth) {
  let end = at + 1;
  while (end < lines.length && !isBlank(lines[end])) {
    if (depth < MAX_DEPTH && interrupts(lines, end)) break;
    end += 1;
  }
  const text = lines.slice(at, end).map((line) => line.trim()).join("\n");
  return { kind: "paragraph", text, end };
}

/** Read code between fences; without a closing one it goes on to the end. */
function readFence(lines, at) {
  const [, fence, info] = FENCE.exec(lines[at]) ?? [];
  if (!fence || (fence[0] === "`" && info.includes("`"))) return null;
  const indent = indentOf(lines[at]);
  let end = at + 1;
  while (end < lines.length && !closesFence(lines[end], fence)) end += 1;
  const code = lines.slice(at + 1, end);
  const text = code.map((line) => line.slice(Math.min(indent, indentOf(line)))).join("\n");
  return { kind: "code", language: info.trim().split(" ", 1)[0], text, end: end + 1 };
}

function closesFence(line, fence) {
  const mark = line.trim();
  return mark.length >= fence.length && isAll(mark, fence[0]);
}

function readHeading(lines, at) {
  const [, marks, text = ""] = HEADING.exec(lines[at]) ?? [];
  if (!marks) return null;
  const bare = text.trimEnd();
  let end = bare.length; // an expression for the marks at the end is not linear
  while (bare[end - 1] === "#") end -= 1;
  const isMark = end === 0 || bare[end - 1] === " ";
  const shown = isMark ? bare.slice(0, end).trimEnd() : bare;
  return { kind: "heading", level: marks.length, text: shown, end: at + 1 };
}

function readRule(lines, at) {
  return isRule(lines[at]) ? { kind: "rule", end: at + 1 } : null;
}

function isRule(line) {
  const bare = line.replaceAll(" ", "");
  return bare.length >= 3 && "*-_".includes(bare[0]) && isAll(bare, bare[0]);
}

function readQuote(lines, at) {
  if (!QUOTE.test(lines[at])) return null;
  const inner = [];
  let end = at;
  for (; end < lines.length; end += 1) {
    if (QUOTE.test(lines[end])) inner.push(lines[end].replace(QUOTE, ""));
    else if (interrupts(lines, end)) break;
    else inner.push(lines[end]);
  }
  return { kind: "quote", lines: inner, end };
}

/** Return what a line that begins an item has: its indent, kind, number and text. */
function itemOf(line) {
  const [, indent, marker, gap = " ", text = ""] = ITEM.exec(line) ?? [];
  if (marker === undefined) return null;
  const bullet = marker.length === 1;
  return {
    indent: indent.length,
    width: indent.length + marker.length + (gap.length > 4 ? 1 : gap.length),
    kind: bullet ? marker : marker.at(-1),
    start: bullet ? null : Number.parseInt(marker, 10),
    text,
  };
}

function readList(lines, at) {
  const first = itemOf(lines[at]);
  if (!first) return null;
  const items = [];
  let isLoose = false;
  let end = at;
  while (end < lines.length) {
    const head = itemOf(lines[end]);
    if (head?.kind !== first.kind || isRule(lines[end])) break;
    const item = readItem(lines, end, head);
    const goesOn = itemOf(lines[item.end] ?? "")?.kind === first.kind;
    isLoose ||= item.hasGap || (item.endsBlank && goesOn);
    items.push(item.lines);
    end = item.end;
  }
  return { kind: "list", start: first.start, items, isLoose, end };
}

/**
 * Read one item. Models indent what is nested by 2, 3 or 4 spaces, whatever the marker,
 * so 2 are enough.
 */
function readItem(lines, at, head) {
  const inner = [head.text];
  let isBlankBefore = false;
  let hasGap = false;
  let end = at + 1;
  for (; end < lines.length; end += 1) {
    const line = lines[end];
    if (isBlank(line)) {
      isBlankBefore = true;
      inner.push("");
      continue;
    }
    const indent = indentOf(line);
    if (indent >= head.indent + 2) inner.push(line.slice(Math.min(indent, head.width)));
    else if (isBlankBefore || itemOf(line) || interrupts(lines, end)) break;
    else inner.push(line);
    hasGap ||= isBlankBefore && !itemOf(line);
    isBlankBefore = false;
  }
  return { lines: inner, hasGap, endsBlank: isBlankBefore, end };
}

function readTable(lines, at) {
  if (!isTableHead(lines, at)) return null;
  const head = cellsOf(lines[at]);
  const sides = cellsOf(lines[at + 1]).map(sideOf);
  const rows = [];
  let end = at + 2;
  for (; end < lines.length && lines[end].includes("|"); end += 1) {
    rows.push(cellsOf(lines[end]).slice(0, head.length));
  }
  return { kind: "table", head, sides, rows, end };
}

function isTableHead(lines, at) {
  const below = lines[at + 1];
  if (!lines[at].includes("|") || !below || !/^[ |:-]+$/.test(below)) return false;
  const sides = cellsOf(below);
  return (
    sides.every((cell) => /^:?-+:?$/.test(cell)) &&
    cellsOf(lines[at]).length === sides.length
  );
}

function sideOf(cell) {
  if (!cell.endsWith(":")) return "start";
  return cell.startsWith(":") ? "center" : "end";
}

/** Return the cells of a table's row; `\|` is a bar within a cell. */
function cellsOf(line) {
  const cells = line.trim().replaceAll("\\|", "\0").split("|");
  if (cells.length > 1 && cells[0] === "") cells.shift();
  if (cells.length > 1 && cells.at(-1).trim() === "") cells.pop();
  return cells.map((cell) => cell.trim().replaceAll("\0", "|"));
}

/** Read a formula in LaTeX that has lines of its own: it stays text. */
function readFormula(lines, at) {
  const mark = formulaEnd(lines[at]);
  if (mark === undefined) return null;
  let end = at;
  let from = 2; // behind the opening mark
  while (!lines[end].trimStart().includes(mark, from)) {
    if (end + 1 === lines.length || isBlank(lines[end + 1])) break; // never closed
    end += 1;
    from = 0;
  }
  return { kind: "formula", text: lines.slice(at, end + 1).join("\n"), end: end + 1 };
}

/** Return the mark that ends the formula which a line begins, or undefined. */
function formulaEnd(line) {
  return FORMULA_ENDS[line.trimStart().slice(0, 2)];
}

function isBlank(line) {
  return line.trim() === "";
}

function isAll(text, character) {
  for (const one of text) if (one !== character) return false;
  return true;
}

function indentOf(line) {
  let indent = 0;
  while (line[indent] === " ") indent += 1;
  return indent;
}
