// The page at `/`: a chat with the models of its server.
//
//   main          what the controls do, and which view shows which change
//   conversation  messages, and the answer that grows
//   sidebar       the list of chats
//   dialogs       settings and questions
//   answering     asking, stopping, asking again, editing
//   server        requests and streams
//   state         chats, settings, and answers that are being written
//   storage       what the browser keeps
//   exporting     chats as files
//   markdown, blocks, inline   Markdown as elements
//   dom           making elements
//
// No framework and no build step: the server joins these modules into one script.

import { findModels, send } from "./answering.js";
import {
  focusPrompt, plainTextOf, sends, showConversation, showEnd, showProgress, watchScroll,
} from "./conversation.js";
import { ask, watchDialogs } from "./dialogs.js";
import { byId, element } from "./dom.js";
import { exportJSON, exportMarkdown } from "./exporting.js";
import { showChats, watchSidebar } from "./sidebar.js";
import {
  changeSettings, deleteChat, modelInUse, onChange, openChat, renameChat, state, titleOf,
} from "./state.js";
import { loadKey, storeKey } from "./storage.js";

const READ_OUT = 600; // characters of an answer that are read out when it has ended

const VIEWS = {
  chat: () => {
    showConversation();
    showControls();
  },
  chats: () => {
    showChats();
    showControls();
  },
  answer: showProgress,
  begun: () => (byId("announcer").textContent = "An answer is being written."),
  ended: (run) => {
    showEnd(run);
    showControls();
    announce(run);
  },
  models: showModels,
  settings: showAppearance,
  notice: showNotice,
  key: askForKey,
};

/** Show which of "Send" and "Stop" there is. */
function showControls() {
  const isWriting = state.runs.has(state.current?.id);
  byId("send").hidden = isWriting;
  byId("stop").hidden = !isWriting;
  byId("send").disabled = !byId("prompt").value.trim() || !state.models.length;
}

function showModels() {
  const select = byId("model");
  const inUse = modelInUse();
  const options = state.models.map((name) => element("option", { value: name }, name));
  select.replaceChildren(...options);
  select.value = inUse;
  select.hidden = false;
  byId("welcome-model").textContent = inUse;
  byId("notice").hidden = true;
  showControls();
}

function showAppearance() {
  const { theme } = state.settings;
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  byId("theme").value = theme;
}

/** Show a message above the conversation; `again` tries again what has failed. */
function showNotice(text, again) {
  const notice = byId("notice");
  notice.firstElementChild.textContent = text;
  notice.lastElementChild.hidden = !again;
  notice.lastElementChild.onclick = () => {
    notice.hidden = true;
    again();
  };
  notice.hidden = false;
}

/** Ask for the API key, and then do again what needed it. */
async function askForKey(again) {
  if (byId("question").open) return;
  const isWrong = loadKey() !== "";
  const wanted = isWrong ? "The server does not accept this key." : "This server asks for a key.";
  const key = await ask({
    title: "API key",
    text: `${wanted} It is kept until this tab is closed.`,
    label: "Key",
    type: "password",
    ok: "Use this key",
  });
  if (key === null) {
    showNotice(wanted, () => askForKey(again));
    return;
  }
  storeKey(key.trim());
  await findModels();
  if (again !== findModels) again();
}

/**
 * Let screen readers say that an answer has ended, and its beginning. They are not told
 * of each piece, which would interrupt what they say.
 */
function announce(run) {
  if (run.chat !== state.current) return;
  const { ending, problem } = run.message;
  const text = plainTextOf(run.message);
  const said = text.length > READ_OUT ? `${text.slice(0, READ_OUT)} …` : text;
  byId("announcer").textContent = problem ?? (ending === "stopped" ? "Stopped." : said);
}

/** Send what was written; while an answer is written, the text waits in its field. */
function submit(event) {
  event.preventDefault();
  const field = byId("prompt");
  const text = field.value.trim();
  if (!text || !state.models.length || state.runs.has(state.current.id)) return;
  field.value = "";
  grow();
  send(text);
  history.replaceState(null, "", `#${state.current.id}`);
  field.focus();
}

/** Let the field grow with its text; the style bounds it. */
function grow() {
  const field = byId("prompt");
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
  showControls();
}

function stopCurrent() {
  const run = state.runs.get(state.current.id);
  if (!run) return;
  run.stop();
  focusPrompt();
}

async function rename() {
  const chat = state.current;
  const title = await ask({
    title: "Rename this chat", label: "Title", value: titleOf(chat), ok: "Rename",
  });
  if (title === null) return;
  renameChat(chat, title);
  showConversation();
}

async function remove() {
  const chat = state.current;
  const answer = await ask({
    title: "Delete this chat?", text: `“${titleOf(chat)}” cannot be brought back.`, ok: "Delete",
  });
  if (answer === null) return;
  deleteChat(chat);
  leaveChat();
}

function openFromAddress() {
  openChat(location.hash.slice(1));
  focusPrompt();
}

/** Go on to a new chat, at an address that names none. */
function leaveChat() {
  history.pushState(null, "", location.pathname + location.search);
  openFromAddress();
}

/** Do something with the current chat, from its menu. */
function onAction(id, act) {
  byId(id).addEventListener("click", () => {
    byId("actions").hidePopover();
    act(state.current);
  });
}

function watchControls() {
  byId("composer").addEventListener("submit", submit);
  byId("prompt").addEventListener("input", grow);
  byId("prompt").addEventListener("keydown", (event) => {
    if (sends(event)) submit(event);
  });
  byId("stop").addEventListener("click", stopCurrent);
  byId("model").addEventListener("change", (event) => {
    changeSettings({ model: event.target.value });
    byId("welcome-model").textContent = event.target.value;
  });
  byId("theme").addEventListener("change", (event) => {
    changeSettings({ theme: event.target.value });
  });
  byId("new-chat").addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // another tab or window
    event.preventDefault();
    leaveChat();
  });
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("prompt").focus();
  });
  byId("change-key").addEventListener("click", () => {
    byId("settings").close();
    askForKey(findModels);
  });
  onAction("rename", rename);
  onAction("export-markdown", exportMarkdown);
  onAction("export-json", exportJSON);
  onAction("delete", remove);
  addEventListener("hashchange", openFromAddress);
  addEventListener("keydown", (event) => {
    const isInDialog = document.querySelector("dialog[open], :popover-open");
    if (event.key === "Escape" && !event.isComposing && !isInDialog) stopCurrent();
  });
}

onChange((topic, ...details) => VIEWS[topic](...details));
watchControls();
watchScroll();
watchSidebar();
watchDialogs();
showAppearance();
openFromAddress();
findModels();
