// The page's state: chats, settings, models, and answers that are being written.
// Whoever changes it says so with `changed`; the views listen.

import {
  forgetChat, loadChats, loadSettings, onChatOfOtherTab, storeChat, storeSettings,
} from "./storage.js";

const TITLE_LENGTH = 48;
const DEFAULTS = { theme: "", model: "", system: "", sampling: {}, thinks: true };

export const state = {
  chats: new Map(loadChats().map((chat) => [chat.id, chat])),
  current: null,
  models: [],
  settings: { ...DEFAULTS, ...loadSettings() },
  runs: new Map(), // by the chat's id: an answer that is being written
};

const listeners = [];

/** Call `listener(topic, ...details)` after each change of the state. */
export function onChange(listener) {
  listeners.push(listener);
}

/** Tell the views. Topics are the keys of `VIEWS` in main.js. */
export function changed(topic, ...details) {
  for (const listener of listeners) listener(topic, ...details);
}

/** Return a new chat, which is not stored before it has a message. */
function newChat() {
  return {
    id: crypto.getRandomValues(new Uint32Array(3)).join("-"),
    title: "",
    system: state.settings.system,
    created: Date.now(),
    updated: Date.now(),
    messages: [],
  };
}

/** Make a chat, or a new one, the current one. */
export function openChat(id) {
  state.current = state.chats.get(id) ?? newChat();
  changed("chat");
  changed("chats");
}

/** Keep a chat that has changed. */
export function keepChat(chat) {
  if (!chat.messages.length && !state.chats.has(chat.id)) return;
  chat.updated = Date.now();
  state.chats.set(chat.id, chat);
  if (!storeChat(chat)) {
    changed("notice", "This browser has no room for the chat: delete others, or export it.");
  }
}

export function renameChat(chat, title) {
  chat.title = title.trim();
  keepChat(chat);
  changed("chats");
}

export function deleteChat(chat) {
  state.runs.get(chat.id)?.stop();
  state.chats.delete(chat.id);
  forgetChat(chat.id);
  changed("chats");
}

/** Return a chat's title: the one that was given, or the beginning of the chat. */
export function titleOf(chat) {
  const said = chat.messages.find((one) => one.role === "user")?.content ?? "";
  const line = said.trim().split("\n", 1)[0];
  const short = line.length > TITLE_LENGTH ? `${line.slice(0, TITLE_LENGTH - 1)}…` : line;
  return chat.title || short || "New chat";
}

/** Return the model that answers: the chosen one, if the server still has it. */
export function modelInUse() {
  const { model } = state.settings;
  return state.models.includes(model) ? model : (state.models[0] ?? "");
}

export function changeSettings(values) {
  Object.assign(state.settings, values);
  storeSettings(state.settings);
  changed("settings");
}

/** Take over what another tab has done to its chats. */
onChatOfOtherTab((id, chat) => {
  if (state.runs.has(id)) return; // the answer that is written here would be lost
  if (chat) state.chats.set(id, chat);
  else state.chats.delete(id);
  if (state.current?.id === id) openChat(id);
  else changed("chats");
});
