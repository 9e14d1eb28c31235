// The conversation: its messages, the one that grows, and the place of the reader in it.

import { answerAgain, continueAnswer, editMessage } from "./answering.js";
import { byId, copyButton, element } from "./dom.js";
import { showMarkdown } from "./markdown.js";
import { modelInUse, state, titleOf } from "./state.js";

const NEAR = 48; // pixels from the end at which a reader follows what is written

const REASONS = {
  length: "The answer has reached its limit of tokens.",
  stopped: "Stopped.",
  cut: "The page was closed before the answer ended.",
};

const shown = new WeakMap(); // by message: the parts of its element that change
let isFollowing = true;

/** Show the current chat from scratch. */
export function showConversation() {
  const chat = state.current;
  const messages = byId("messages");
  const hadFocus = messages.contains(document.activeElement);
  messages.replaceChildren(...chat.messages.map((message) => messageElement(chat, message)));
  byId("welcome").hidden = chat.messages.length > 0;
  byId("welcome-model").textContent = modelInUse() || "a model on the server";
  byId("title").textContent = titleOf(chat);
  document.title = `${titleOf(chat)} – llamacy`;
  if (hadFocus) focusPrompt(); // its button is gone
  isFollowing = true;
  follow();
}

/** Let the person write, unless that would open the keyboard of a touch screen. */
export function focusPrompt() {
  if (!isTouched()) byId("prompt").focus();
}

const waiting = new Set(); // messages to be shown again at the next frame

/** Show what was added to an answer; several pieces between two frames at once. */
export function showProgress(run) {
  if (run.chat !== state.current) return;
  if (!waiting.size) {
    requestAnimationFrame(() => {
      for (const each of waiting) updateAnswer(each);
      waiting.clear();
      follow();
    });
  }
  waiting.add(run.message);
}

/** Show an answer that has ended, without waiting for a frame: hidden pages have none. */
export function showEnd(run) {
  if (run.chat !== state.current) return;
  waiting.delete(run.message);
  updateAnswer(run.message);
  follow();
}

/** Return the text of an answer without its marks, to be read out. */
export function plainTextOf(message) {
  return shown.get(message)?.text.textContent ?? message.content;
}

function messageElement(chat, message) {
  const isUser = message.role === "user";
  const who = isUser ? "You" : "Answer";
  const article = element("article", { class: `message ${message.role}`, "aria-label": who });
  article.append(...(isUser ? saidParts(chat, message, article) : answerParts(chat, message)));
  if (!isUser) updateAnswer(message);
  return article;
}

function saidParts(chat, message, article) {
  const edit = button("Edit", () => editInPlace(chat, message, article));
  const actions = element("span", { class: "actions" }, edit, copyButton(() => message.content));
  return [
    element("div", { class: "said" }, message.content),
    element("div", { class: "foot" }, actions),
  ];
}

/** Replace a message with a form; Esc gives the message back. */
function editInPlace(chat, message, article) {
  const field = element("textarea", { rows: 3, "aria-label": "Edit the message" });
  field.value = message.content;
  const cancel = () => {
    const restored = messageElement(chat, message);
    form.closest("article").replaceWith(restored);
    restored.querySelector("button").focus();
  };
  const form = element(
    "form",
    { class: "editing" },
    field,
    element(
      "div",
      { class: "buttons" },
      button("Cancel", cancel),
      element("button", { class: "primary" }, "Send"),
    ),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim()) editMessage(chat, message, field.value.trim());
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation(); // it would stop an answer
      cancel();
    } else if (sends(event)) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  article.replaceChildren(form);
  field.focus();
}

/** Say whether a key press in a field is meant to send it: not on a touch keyboard. */
export function sends(event) {
  const isEnter = event.key === "Enter" && !event.shiftKey && !event.isComposing;
  return isEnter && !isTouched();
}

function isTouched() {
  return matchMedia("(pointer: coarse)").matches;
}

function answerParts(chat, message) {
  const parts = {
    chat,
    summary: element("summary"),
    thoughts: element("div"),
    text: element("div", { class: "text" }),
    status: element("div", { class: "waiting", hidden: true }),
    problem: element("p", { class: "problem", hidden: true }),
    actions: element("span", { class: "actions" }),
    figures: element("span", { class: "figures" }),
    actionsFor: null,
  };
  parts.reasoning = element("details", { class: "reasoning" }, parts.summary, parts.thoughts);
  parts.foot = element("div", { class: "foot" }, parts.actions, parts.figures);
  shown.set(message, parts);
  return [parts.reasoning, parts.text, parts.status, parts.problem, parts.foot];
}

function updateAnswer(message) {
  const parts = shown.get(message);
  if (!parts) return; // it was replaced before this frame
  const run = state.runs.get(parts.chat.id);
  const active = run?.message === message ? run : null;
  showMarkdown(parts.text, message.content);
  showReasoning(parts, message, active);
  showStatus(parts.status, active);
  showEnding(parts, message, active);
  parts.figures.textContent = figures(active ? active.measured() : message.measured);
}

function showReasoning(parts, message, run) {
  parts.reasoning.hidden = !message.reasoning;
  if (!message.reasoning) return;
  const seconds = message.thought ? `, ${message.thought.toFixed(1)} s` : "";
  parts.summary.textContent = run && !message.content ? "Reasoning …" : `Reasoning${seconds}`;
  parts.thoughts.textContent = message.reasoning.trim();
}

/** Show what an answer waits for, as long as none of its text is there. */
function showStatus(status, run) {
  const isWaiting = run !== null && run.phase !== "writing";
  status.hidden = !isWaiting;
  if (!isWaiting) return;
  const percent = Math.round(run.progress * 100);
  const text = {
    waiting: "Waiting for the server",
    loading: `Loading ${run.message.model}`,
    reading: percent ? `Reading the prompt, ${percent} %` : "Reading the prompt",
  }[run.phase];
  const attributes = { "aria-label": text, max: 1, value: percent ? run.progress : null };
  status.replaceChildren(text, element("progress", attributes));
}

/** Show why an answer ended, and what can be done with it. */
function showEnding(parts, message, run) {
  const ending = run ? "" : (message.ending ?? "cut");
  const problem = run ? "" : problemOf(message, ending);
  parts.problem.hidden = !problem;
  parts.problem.textContent = problem;
  parts.foot.hidden = Boolean(run) && run.phase !== "writing";
  if (parts.actionsFor === ending) return; // so that a button keeps the focus
  parts.actionsFor = ending;
  const { chat } = parts;
  const isLast = chat.messages.at(-1) === message;
  const canGoOn = isLast && message.content && !["stop", ""].includes(ending);
  parts.actions.replaceChildren(
    ...(ending && message.content ? [copyButton(() => message.content)] : []),
    ...(ending ? [button("Try again", () => answerAgain(chat, message))] : []),
    ...(canGoOn ? [button("Go on", () => continueAnswer(chat))] : []),
  );
}

/** Return what is to be said of an answer's end; nothing if the answer says enough. */
function problemOf({ problem, content, reasoning }, ending) {
  if (problem) return problem;
  if (ending === "stop") return content || reasoning ? "" : "The model has answered nothing.";
  return ending === "stopped" && content ? "" : REASONS[ending];
}

function figures(measured) {
  if (!measured?.tokens) return "";
  const { tokens, rate, wait, isExact } = measured;
  const count = `${isExact ? "" : "about "}${tokens} ${tokens === 1 ? "token" : "tokens"}`;
  const speed = rate === null ? [] : [`${rate.toFixed(rate < 10 ? 1 : 0)} tokens/s`];
  return [count, ...speed, `began after ${wait.toFixed(1)} s`].join(" · ");
}

function button(label, onclick) {
  return element("button", { type: "button", class: "quiet", onclick }, label);
}

/** Keep the end in view, unless the reader has scrolled away from it. */
function follow() {
  const scroller = byId("scroller");
  if (isFollowing) scroller.scrollTop = scroller.scrollHeight;
  noteScroll();
}

function noteScroll() {
  byId("to-end").hidden = distance() < NEAR;
}

function distance() {
  const { scrollHeight, scrollTop, clientHeight } = byId("scroller");
  return scrollHeight - scrollTop - clientHeight;
}

/** Begin to watch where the reader is. */
export function watchScroll() {
  byId("scroller").addEventListener("scroll", () => {
    isFollowing = distance() < NEAR;
    noteScroll();
  });
  byId("to-end").addEventListener("click", () => {
    isFollowing = true;
    follow();
  });
}
