// What the browser keeps: chats and settings for good, the API key as long as the tab.
//
// Each chat has a key of its own, so that two tabs with two chats do not overwrite each
// other's. Browsers may refuse to store anything; the page then works until it is closed.

const CHAT = "llamacy.chat.";
const SETTINGS = "llamacy.settings";
const API_KEY = "llamacy.api-key";

/** Return all chats that can be read. */
export function loadChats() {
  try {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(CHAT));
    return keys.map((key) => parsed(localStorage.getItem(key))).filter(isChat);
  } catch {
    return [];
  }
}

/** Store a chat; say whether that worked. */
export function storeChat(chat) {
  try {
    localStorage.setItem(CHAT + chat.id, JSON.stringify(chat));
    return true;
  } catch {
    return false;
  }
}

export function forgetChat(id) {
  try {
    localStorage.removeItem(CHAT + id);
  } catch {
    // nothing was stored
  }
}

/** Call a function with the id of each chat that another tab stores or forgets. */
export function onChatOfOtherTab(call) {
  addEventListener("storage", (event) => {
    if (event.key?.startsWith(CHAT)) {
      const chat = parsed(event.newValue);
      call(event.key.slice(CHAT.length), isChat(chat) ? chat : null);
    }
  });
}

export function loadSettings() {
  try {
    const settings = parsed(localStorage.getItem(SETTINGS));
    return settings && typeof settings === "object" ? settings : {};
  } catch {
    return {};
  }
}

export function storeSettings(settings) {
  try {
    localStorage.setItem(SETTINGS, JSON.stringify(settings));
  } catch {
    // they hold until the page is closed
  }
}

let apiKey = "";

export function loadKey() {
  try {
    return sessionStorage.getItem(API_KEY) ?? apiKey;
  } catch {
    return apiKey;
  }
}

export function storeKey(key) {
  apiKey = key;
  try {
    sessionStorage.setItem(API_KEY, key);
  } catch {
    // it holds until the page is closed
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Check what a later or an earlier version of the page, or a person, has stored. */
function isChat(value) {
  const isMessage = (one) =>
    ["user", "assistant"].includes(one?.role) && typeof one.content === "string";
  return (
    typeof value?.id === "string" &&
    typeof value.title === "string" &&
    Array.isArray(value.messages) &&
    value.messages.every(isMessage)
  );
}
