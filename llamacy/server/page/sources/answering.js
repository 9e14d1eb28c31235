// Answers: asking for one, stopping it, asking again, editing, going on.
//
// An answer is a message of its chat from the beginning, and is stored while it grows:
// what has arrived stays when the connection, the server or the page goes away.

import { fetchLoaded, fetchModels, streamAnswer } from "./server.js";
import { changed, changeSettings, keepChat, modelInUse, state } from "./state.js";

const STORE_EVERY = 1000; // milliseconds
const ENOUGH = 8; // tokens to tell a speed from
const SAY_LOADING_AFTER = 700; // milliseconds without an answer to the request

/** Ask the server for its models. */
export async function findModels() {
  try {
    state.models = await fetchModels();
    changed("models");
  } catch (error) {
    if (error.wantsKey) changed("key", findModels);
    else changed("notice", error.message, findModels);
  }
}

/** Say something, and get an answer. */
export function send(text) {
  const chat = state.current;
  chat.messages.push({ role: "user", content: text });
  return answerNext(chat);
}

/** Answer the conversation before a message again; what followed is dropped. */
export function answerAgain(chat, message) {
  chat.messages.length = chat.messages.indexOf(message);
  return answerNext(chat);
}

/** Replace what the user has said, and go on from there. */
export function editMessage(chat, message, text) {
  chat.messages.length = chat.messages.indexOf(message);
  chat.messages.push({ role: "user", content: text });
  return answerNext(chat);
}

/** Let the model go on with its last answer. */
export function continueAnswer(chat) {
  const message = chat.messages.at(-1);
  delete message.ending;
  delete message.problem;
  return write(chat, message);
}

function answerNext(chat) {
  state.runs.get(chat.id)?.stop();
  const message = { role: "assistant", content: "", reasoning: "", model: modelInUse() };
  chat.messages.push(message);
  return write(chat, message);
}

/** An answer that is being written. */
class Run {
  constructor(chat, message) {
    this.chat = chat;
    this.message = message;
    this.phase = "waiting"; // "loading", "reading", "writing"
    this.progress = 0; // the share of the prompt that was read
    this.pieces = 0; // about one for each token
    this.thought = null; // seconds of reasoning before the first text
    this.usage = null;
    this.began = performance.now();
    this.first = null; // when the first piece came
    this.last = null;
    this.stored = this.began;
    this.control = new AbortController();
  }

  stop() {
    this.control.abort();
  }

  /** Tokens and seconds so far; the server's own count once it has come. */
  measured() {
    const tokens = this.usage?.completion_tokens ?? this.pieces;
    const seconds = (this.last - this.first) / 1000;
    const rate = tokens >= ENOUGH && seconds > 0 ? (tokens - 1) / seconds : null;
    const wait = this.first === null ? null : (this.first - this.began) / 1000;
    return { tokens, rate, wait, isExact: this.usage !== null };
  }
}

async function write(chat, message) {
  const run = new Run(chat, message);
  state.runs.set(chat.id, run);
  keepChat(chat);
  if (chat === state.current) changed("chat");
  changed("chats");
  changed("begun", run);
  const timer = setTimeout(() => noteLoading(run), SAY_LOADING_AFTER);
  try {
    for await (const happening of streamAnswer(request(chat, message), run.control.signal)) {
      note(run, happening);
    }
    message.ending ??= "stop";
  } catch (error) {
    noteProblem(run, error);
  } finally {
    clearTimeout(timer);
    finish(run);
  }
}

/** Return a request's body for the conversation up to an answer. */
function request(chat, message) {
  const body = {
    model: message.model,
    messages: spoken(chat),
    stream: true,
    stream_options: { include_usage: true },
    return_progress: true,
    ...state.settings.sampling,
  };
  if (!state.settings.thinks) body.chat_template_kwargs = { enable_thinking: false };
  return body;
}

/**
 * Return the messages as the server wants them. An answer without any text is left out,
 * and what the user has said before and after it is one message, because many models'
 * templates want roles that alternate.
 */
function spoken(chat) {
  const messages = chat.system ? [{ role: "system", content: chat.system }] : [];
  for (const { role, content, reasoning } of chat.messages) {
    const before = messages.at(-1);
    if (role === "user" && before?.role === "user") before.content += `\n\n${content}`;
    else if (role === "user") messages.push({ role, content });
    else if (content) {
      messages.push({ role, content, ...(reasoning && { reasoning_content: reasoning }) });
    }
  }
  return messages;
}

/** Take over one thing that has happened. */
function note(run, { begun, progress, text, reasoning, call, reason, usage }) {
  const { message } = run;
  if (begun) run.phase = "reading";
  if (progress !== undefined) run.progress = progress;
  if (text) message.content += text;
  if (reasoning) message.reasoning += reasoning;
  if (call) message.content += `\n\`\`\`json\n${JSON.stringify(call)}\n\`\`\`\n`;
  if (reason) message.ending = reason;
  if (usage) run.usage = usage;
  if (text || reasoning || call) {
    run.phase = "writing";
    run.pieces += 1;
    run.last = performance.now();
    run.first ??= run.last;
    if (text) run.thought ??= message.reasoning && (run.last - run.first) / 1000;
  }
  if (performance.now() - run.stored > STORE_EVERY) storeNow(run);
  changed("answer", run);
}

function noteProblem(run, error) {
  const { message, control } = run;
  if (control.signal.aborted) {
    message.ending = "stopped";
    return;
  }
  message.ending = "failed";
  message.problem = error.message;
  if (error.wantsKey) changed("key", () => answerAgain(run.chat, message));
}

function finish(run) {
  const { chat, message } = run;
  message.measured = run.measured();
  if (run.thought) message.thought = run.thought;
  if (state.runs.get(chat.id) === run) state.runs.delete(chat.id);
  const isThere = state.chats.has(chat.id) && chat.messages.includes(message);
  if (isThere) keepChat(chat); // unless it was deleted, or the answer was replaced
  changed("ended", run);
  changed("chats");
}

function storeNow(run) {
  run.stored = performance.now();
  keepChat(run.chat);
}

/** Say that a model is being loaded, if the answer waits for that. */
async function noteLoading(run) {
  if (run.phase !== "waiting") return;
  const loaded = await fetchLoaded().catch(() => null);
  if (loaded && run.phase === "waiting" && !loaded.includes(run.message.model)) {
    run.phase = "loading";
    changed("answer", run);
  }
}

/** The page goes away: keep what has arrived. */
addEventListener("pagehide", () => {
  for (const run of state.runs.values()) keepChat(run.chat);
});
